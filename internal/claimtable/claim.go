package claimtable

import (
	"encoding/json"
	"time"
)

// Object is what an event has claimed.
type Object struct {
	// Key and Version are the values of [HashKey] and [RangeKey].
	Key, Version string
	// Sequencer tells which of two events of a key without versions is the newer; empty for a version, which has but one event.
	Sequencer string
}

// ObjectOf reads an upload's event as the state machine does. It is false for an
// event without bucket or key, which claims nothing.
func ObjectOf(event []byte) (Object, bool) {
	var e struct {
		Detail struct {
			Bucket struct {
				Name string `json:"name"`
			} `json:"bucket"`
			Object struct {
				Key       string  `json:"key"`
				VersionID *string `json:"version-id"`
				Sequencer string  `json:"sequencer"`
			} `json:"object"`
		} `json:"detail"`
	}
	if json.Unmarshal(event, &e) != nil || e.Detail.Bucket.Name == "" || e.Detail.Object.Key == "" {
		return Object{}, false
	}
	o := Object{Key: e.Detail.Bucket.Name + "\n" + e.Detail.Object.Key, Version: NoVersion}
	if v := e.Detail.Object.VersionID; v != nil {
		o.Version = *v
	}
	if o.Version == NoVersion {
		o.Sequencer = e.Detail.Object.Sequencer
	}
	return o, true
}

// Claim is what the table has of an object.
type Claim struct {
	// Execution is the ARN of who has it, Sequencer its event's.
	Execution, Sequencer string
	// Status is [Working], [Done] or [Failed].
	Status string
	// LeaseUntil is when a run that says no more counts as gone, in seconds since 1970.
	LeaseUntil int64
}

// Standing is what a claim means to another execution.
type Standing string

// What a claim can mean to another execution. All but Free are the state machine's own words for what it finds.
const (
	// Free is that it may be taken.
	Free Standing = "free"
	// BeingProcessed is that another is at it.
	BeingProcessed Standing = "being processed"
	// AlreadyProcessed is that another did it.
	AlreadyProcessed Standing = "already processed"
	// Superseded is that another has a newer event of the key.
	Superseded Standing = "superseded by a newer event"
)

// Standing is what the claim means to another execution that would process an
// object of its key now. It is the rule of the state machine.
func (c Claim) Standing(o Object, now time.Time) Standing {
	switch {
	case c.Sequencer > o.Sequencer:
		return Superseded
	case c.Sequencer < o.Sequencer:
		return Free
	case c.Status == Done:
		return AlreadyProcessed
	case c.Status == Working && c.LeaseUntil >= now.Unix():
		return BeingProcessed
	}
	return Free
}
