// Receives webhooks of Billwire: verifies each call, takes each event once, and tells which events come late.
//
//	go run receiver.go PORT SECRET[,SECRET...]
//
// A secret is `whsec_...`, or the public key `whpk_...` of an ed25519 pair. Needs nothing but the standard library. Listens on 127.0.0.1
// without TLS, because a proxy in front of it has the certificate.
package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// More than any event has, so that a stranger cannot fill the memory.
const bodyMax = 4 << 20

// [verify]
// verify tells whether one of the secrets has signed these bytes, at most five minutes away from now.
func verify(secrets []string, header http.Header, body []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	signed := append([]byte(id+"."+timestamp+"."), body...)
	// During a rotation a call has several signatures. One that fits is enough.
	for _, signature := range strings.Fields(header.Get("webhook-signature")) {
		for _, secret := range secrets {
			if fits(secret, signature, signed) {
				return true
			}
		}
	}
	return false
}

func fits(secret, signature string, signed []byte) bool {
	kind, encoded, _ := strings.Cut(secret, "_")
	version, text, _ := strings.Cut(signature, ",")
	key, keyErr := base64.StdEncoding.DecodeString(encoded)
	given, err := base64.StdEncoding.DecodeString(text)
	switch {
	case keyErr != nil || err != nil:
		return false
	case kind == "whsec" && version == "v1":
		mac := hmac.New(sha256.New, key)
		mac.Write(signed)
		// Unlike bytes.Equal, it takes the same time wherever the first wrong byte is.
		return hmac.Equal(mac.Sum(nil), given)
	case kind == "whpk" && version == "v1a":
		return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, signed, given)
	}
	return false // a version or a kind of key that this program does not know
}

// [/verify]

// [once]
type event struct{ ID, Type, PartitionKey, Sequence string }

var (
	lock sync.Mutex
	seen = map[string]bool{}   // In production: a table whose primary key is the id.
	last = map[string]string{} // The highest sequence of each key.
)

// take takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence.
func take(e event) error {
	lock.Lock()
	defer lock.Unlock()
	if seen[e.ID] {
		return nil
	}
	// Sequences have leading zeros, so they compare as texts. A late event must not replace newer state.
	late := e.Sequence < last[e.PartitionKey]
	line := map[string]any{"id": e.ID, "type": e.Type, "key": e.PartitionKey, "sequence": e.Sequence, "late": late}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		return err
	}
	seen[e.ID] = true
	if !late {
		last[e.PartitionKey] = e.Sequence
	}
	return nil
}

// [/once]

func main() {
	secrets := strings.Split(os.Args[2], ",")
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(func(response http.ResponseWriter, call *http.Request) {
		// The bytes as they came: JSON that was read and written again has other bytes, and the signature does not fit.
		body, err := io.ReadAll(http.MaxBytesReader(response, call.Body, bodyMax))
		if err != nil {
			response.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		if !verify(secrets, call.Header, body) {
			response.WriteHeader(http.StatusBadRequest)
			return
		}
		var e event
		if json.Unmarshal(body, &e) != nil || take(e) != nil {
			response.WriteHeader(http.StatusInternalServerError) // the call comes again
			return
		}
		response.WriteHeader(http.StatusNoContent)
	})))
}
