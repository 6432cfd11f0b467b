#!/bin/sh
# authlib 1.9.10, joserfc 1.8.0, python-jose 3.5.0 (PyPI) beside PyJWT 2.15.1, jwcrypto 1.6.1 and jose 6.2.18 (npm).
#
# Behaviour: an issuer publishes a second key of a kind that is new, beside the P-256 key that it signs with. Nothing else
#   changes, and the token names its key by kid. authlib ends with KeyError for a key type that it does not know (AKP, the
#   one of ML-DSA), joserfc for a curve that it does not know, both already when the set is read, so that no token of
#   that issuer is taken any more. python-jose fails for any key of another type that stands in front, an X25519 key
#   for encryption too. PyJWT, jwcrypto and jose take the token in all cases.
# One would expect: keys that are not understood to be passed over, as RFC 7517, section 5, says.
# Seen: the table that is printed.
# Needs: Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts jose@6.2.18
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check authlib==1.9.10 joserfc==1.8.0 python-jose==3.5.0 pyjwt==2.15.1 jwcrypto==1.6.1 cryptography==50.0.2
cat > run.mjs <<'JS'
import { createLocalJWKSet, jwtVerify } from "jose";
const { token, set } = JSON.parse(process.argv[2]);
try { await jwtVerify(token, createLocalJWKSet(set)); console.log("ok"); } catch (error) { console.log(error.code); }
JS
cat > run.py <<'PY'
import base64, json, subprocess, sys, time, warnings
warnings.simplefilter("ignore")
import jwt as pyjwt
from authlib.jose import JsonWebKey as AuthlibKey, jwt as authlib
from joserfc import jwk as joserfc_key, jwt as joserfc
from jose import jwt as python_jose
from jwcrypto import jwk as crypto_key, jwt as crypto

own = crypto_key.JWK.generate(kty="EC", crv="P-256", kid="own", alg="ES256", use="sig")
public = json.loads(own.export_public())
text = base64.urlsafe_b64encode(bytes(range(1, 33))).decode().rstrip("=")
others = {
    "none": [],
    "type AKP": [{"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "use": "sig", "pub": base64.urlsafe_b64encode(bytes(1312)).decode().rstrip("=")}],
    "curve BP-256": [{"kty": "EC", "crv": "BP-256", "kid": "new", "use": "sig", "x": text, "y": text}],
    "X25519, use enc": [{"kty": "OKP", "crv": "X25519", "kid": "new", "use": "enc", "x": text}],
}
token = pyjwt.encode({"sub": "a", "exp": int(time.time()) + 600}, pyjwt.PyJWK(json.loads(own.export())).key, algorithm="ES256", headers={"kid": "own"})

def javascript(keys):
    out = subprocess.run(["node", "run.mjs", json.dumps({"token": token, "set": keys})], check=True, capture_output=True, text=True).stdout.strip()
    if out != "ok":
        raise RuntimeError(out)

readers = {
    "authlib": lambda keys: authlib.decode(token, AuthlibKey.import_key_set(keys)),
    "joserfc": lambda keys: joserfc.decode(token, joserfc_key.KeySet.import_key_set(keys)),
    "python-jose": lambda keys: python_jose.decode(token, keys, algorithms=["ES256"]),
    "PyJWT": lambda keys: pyjwt.decode(token, pyjwt.PyJWKSet.from_dict(keys)["own"].key, algorithms=["ES256"]),
    "jwcrypto": lambda keys: crypto.JWT(jwt=token, key=crypto_key.JWKSet.from_json(json.dumps(keys))),
    "jose (npm)": javascript,
}

def tried(reader, keys):
    try:
        reader(keys)
        return "ok"
    except Exception as error:
        return type(error).__name__

seen = {name: [tried(reader, {"keys": keys + [public]}) for keys in others.values()] for name, reader in readers.items()}
print("beside the own key:", list(others))
for name, row in seen.items():
    print(f"  {name}: {row}")
ok = seen == {
    "authlib": ["ok", "KeyError", "ok", "ok"],
    "joserfc": ["ok", "ok", "KeyError", "ok"],
    "python-jose": ["ok", "JWKError", "KeyError", "JWKError"],
    "PyJWT": ["ok"] * 4, "jwcrypto": ["ok"] * 4, "jose (npm)": ["ok"] * 4,
}
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
