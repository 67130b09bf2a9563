#!/usr/bin/env bash
# jspurefix 5.11.4, a FIX engine in TypeScript: an answer to a ResendRequest leaves out the last
# message if that alone is none to be sent again.  Of messages 1 to 3, of which 2 is an order and the
# others are not, it fills 1, sends 2 again, and says nothing of 3; of 1 to 4 it fills 3 and 4.  One
# would expect a SequenceReset with GapFillFlag for 3, too: the other side still misses it, and asks
# again for what never comes.  The gap closes when another message makes it longer than one.
# It needs Node 18 or later and npm.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --prefix "$place" --ignore-scripts --no-audit --no-fund --silent \
    --before 2026-11-28 jspurefix@5.11.4
npm ls --prefix "$place" --depth 0 | grep jspurefix | sed 's/.* //'
cat > "$place/gap.cjs" <<'NODE'
require('reflect-metadata')
const {
  DITokens, EmptyLogFactory, FixMsgAsciiStoreResend, FixMsgMemoryStore, FixMsgStoreRecord,
  SessionContainer
} = require('jspurefix')

const description = {
  application: {
    type: 'initiator', name: 'a', protocol: 'ascii', dictionary: 'qf44',
    tcp: { host: '127.0.0.1', port: 1 }
  },
  BeginString: 'FIX.4.4', SenderCompId: 'A', TargetCompID: 'B', HeartBtInt: 30
}

function shown (record) {
  return record.msgType === '4'
    ? `fills from ${record.seqNum} to before ${record.obj.NewSeqNo}`
    : `${record.msgType} as ${record.seqNum}`
}

async function main () {
  const container = new SessionContainer()
  container.registerGlobal(new EmptyLogFactory())
  const config = (await container.makeSystem(description)).resolve(DITokens.IJsFixConfig)
  const store = new FixMsgMemoryStore('a', config)
  await store.put(new FixMsgStoreRecord('D', new Date(), 2, { ClOrdID: 'x' }))
  const resend = new FixMsgAsciiStoreResend(store, config)
  const found = []
  for (const last of [3, 4]) {
    const sent = (await resend.getResendRequest(1, last)).map(shown)
    console.log(`asked for 1 to ${last}: ${sent.join(', ')}`)
    found.push(sent.length)
  }
  process.exit(found[0] === 2 && found[1] === 3 ? 0 : 1)
}

main()
NODE
node "$place/gap.cjs"
