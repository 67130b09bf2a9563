#!/usr/bin/env bash
# pyOpenSSL 26.4.0 with cryptography 50.0.2 (OpenSSL 4.0): a connection that may use nothing but the
# suite TLS_SM4_GCM_SM3, with an SM2 certificate, exchanges its keys over X25519MLKEM768.
# One would expect curveSM2, as RFC 8998 asks for it with this suite, and as the choice of national
# algorithms suggests.  The name of the suite therefore does not show that a connection keeps to
# them.  pyOpenSSL has no call for groups; the one below it does what is wanted.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install -q pyOpenSSL==26.4.0 cryptography==50.0.2
openssl ecparam -name SM2 -genkey -noout -out key.pem
openssl req -x509 -new -sm3 -sigopt distid:1234567812345678 -key key.pem -subj /CN=one -out one.pem
env/bin/python - <<'PYTHON'
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL, version

library = Binding().lib


def context(group):
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(SSL.TLS1_3_VERSION)
    made.set_tls13_ciphersuites(b"TLS_SM4_GCM_SM3")
    if group:
        assert library.SSL_CTX_set1_curves_list(made._context, group)
    return made


def agreed(group):
    served, asked = context(group), context(group)
    served.use_certificate_chain_file("one.pem")
    served.use_privatekey_file("key.pem")
    asked.load_verify_locations("one.pem")
    asked.set_verify(SSL.VERIFY_PEER)
    sides = SSL.Connection(served, None), SSL.Connection(asked, None)
    sides[0].set_accept_state()
    sides[1].set_connect_state()
    for _ in range(4):
        for one, other in (sides, sides[::-1]):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(1 << 16))
            except SSL.WantReadError:
                pass
    return sides[1].get_cipher_name(), sides[1].get_group_name()


print("pyOpenSSL", version.__version__)
seen = agreed(None), agreed(b"curveSM2")
print("chosen by itself:", *seen[0])
print("with its groups set:", *seen[1])
assert seen == (("TLS_SM4_GCM_SM3", "X25519MLKEM768"), ("TLS_SM4_GCM_SM3", "curveSM2")), seen
PYTHON
