// Reads a stream subscription of Billwire: takes each event once, tells which events come late, goes on where it was.
//
//	go run subscriber.go URL API_KEY INBOX_PREFIX CONSUMER
//
// Needs github.com/nats-io/nats.go. `getStreamSubscription` names the URL, the inbox prefix and the consumer. Reads until it is stopped.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

type event struct{ ID, Type, PartitionKey, Sequence string }

var (
	seen = map[string]bool{}   // In production: a table whose primary key is the id.
	last = map[string]string{} // The highest sequence of each key.
)

// take takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence.
func take(e event) error {
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

// [read]
func read(url, key, inboxPrefix, consumer string) error {
	// Any user name will do: the key alone counts.
	client, err := nats.Connect(url, nats.UserInfo("billing-events", key), nats.CustomInboxPrefix(inboxPrefix), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer client.Close()
	stream, err := client.JetStream()
	if err != nil {
		return err
	}
	info, err := stream.ConsumerInfo("BILLING", consumer)
	if err != nil {
		return err
	}
	// Older versions of the library want to be told what the consumer is filtered to.
	subscription, err := stream.PullSubscribe(info.Config.FilterSubject, "", nats.Bind("BILLING", consumer))
	if err != nil {
		return err
	}
	for {
		messages, err := subscription.Fetch(100, nats.MaxWait(5*time.Second))
		if err != nil && !errors.Is(err, nats.ErrTimeout) {
			return err
		}
		for _, message := range messages {
			var e event
			if err := json.Unmarshal(message.Data, &e); err != nil {
				return err
			}
			if err := take(e); err != nil {
				return err
			}
			// Only now: an event that is not acknowledged within 30 seconds comes again, also after a crash.
			if err := message.Ack(); err != nil {
				return err
			}
		}
	}
}

func main() {
	for {
		// Clients give up when the server ends their connection, which it does once a day, or refuses it, as while the gateway restarts.
		log.Print("NATS: ", read(os.Args[1], os.Args[2], os.Args[3], os.Args[4]))
		time.Sleep(5 * time.Second)
	}
}

// [/read]
