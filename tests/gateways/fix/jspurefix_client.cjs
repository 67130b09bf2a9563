// jspurefix as a client. Lines of JSON: what to do comes in, what it says and hears goes out.
'use strict'
require('reflect-metadata')
const readline = require('readline')
const {
  AsciiSession, EmptyLogFactory, FileSessionStoreFactory, FixMsgStoreRecord, SessionLauncher
} = require('jspurefix')

const [description, directory] = process.argv.slice(2)
let session = null

function tell (what) {
  process.stdout.write(JSON.stringify(what) + '\n')
}

class Client extends AsciiSession {
  constructor (config) {
    super(config)
    session = this
  }

  onApplicationMsg () {}
  onLogon () { return true }
  onReady () { tell({ state: 'on' }) }
  onStopped () { tell({ state: 'off' }) }
  onDecoded (_, text) { tell({ heard: text }) }
  onEncoded (_, text) { tell({ said: text }) }

  // Its own store, of what the application has sent, is what it sends again.
  keep (kind, fields) {
    const number = this.transport.transmitter.msgSeqNum
    this.store.put(new FixMsgStoreRecord(kind, new Date(), number, fields)).catch(tell)
  }
}

class Launcher extends SessionLauncher {
  constructor (config) { super(config, null, new EmptyLogFactory()) }

  makeFactory (config) {
    config.sessionStoreFactory = new FileSessionStoreFactory(directory)
    return { makeSession: config => new Client(config) }
  }
}

const acts = {
  send ({ kind, fields }) {
    session.keep(kind, fields)
    session.send(kind, fields)
  },
  // As if the network had lost it.
  lose ({ kind, fields }) {
    session.keep(kind, fields)
    session.transport.transmitter.msgSeqNum++
  },
  // As if it had never come.
  forget ({ count }) { session.sessionState.lastPeerMsgSeqNum -= count },
  number ({ number }) { session.transport.transmitter.msgSeqNum = number },
  describe ({ fields }) { Object.assign(session.config.description, fields) },
  logout () { session.done() }
}

function times (name, value) {
  return name.endsWith('Time') ? new Date(value) : value
}

readline.createInterface({ input: process.stdin }).on('line', line => {
  const act = JSON.parse(line, times)
  acts[act.act](act)
}).on('close', () => process.exit(0))

new Launcher(JSON.parse(description)).run().catch(error => tell({ state: String(error) }))
