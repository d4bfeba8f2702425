package claimtable_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/claimtable"
)

func TestWhatAnEventClaims(t *testing.T) {
	t.Parallel()
	const bucket = `{"detail":{"bucket":{"name":"b"},"object":`
	for event, want := range map[string]claimtable.Object{
		bucket + `{"key":"k","version-id":"v","sequencer":"01"}}}`:    {Key: "b\nk", Version: "v"},
		bucket + `{"key":"k","version-id":"v"}}}`:                     {Key: "b\nk", Version: "v"},
		bucket + `{"key":"k","sequencer":"01"}}}`:                     {Key: "b\nk", Version: "null", Sequencer: "01"},
		bucket + `{"key":"k","version-id":"null","sequencer":"01"}}}`: {Key: "b\nk", Version: "null", Sequencer: "01"},
		bucket + `{"key":"a\nb c"}}}`:                                 {Key: "b\na\nb c", Version: "null"},
	} {
		got, ok := claimtable.ObjectOf([]byte(event))
		require.True(t, ok, event)
		require.Equal(t, want, got, event)
	}
	for _, event := range []string{"", "no JSON", "{}", bucket + `{}}}`, `{"detail":{"object":{"key":"k"}}}`} {
		_, ok := claimtable.ObjectOf([]byte(event))
		require.False(t, ok, event)
	}
}

// That this is the state machine's rule as well is tested where that is declared.
func TestWhatAClaimMeansToOthers(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for name, test := range map[string]struct {
		claim claimtable.Claim
		want  claimtable.Standing
	}{
		"at work":                 {claimtable.Claim{Status: claimtable.Working, Sequencer: "02", LeaseUntil: 1001}, claimtable.BeingProcessed},
		"in its last second":      {claimtable.Claim{Status: claimtable.Working, Sequencer: "02", LeaseUntil: 1000}, claimtable.BeingProcessed},
		"gone":                    {claimtable.Claim{Status: claimtable.Working, Sequencer: "02", LeaseUntil: 999}, claimtable.Free},
		"done":                    {claimtable.Claim{Status: claimtable.Done, Sequencer: "02", LeaseUntil: 999}, claimtable.AlreadyProcessed},
		"given back":              {claimtable.Claim{Status: claimtable.Failed, Sequencer: "02", LeaseUntil: 1001}, claimtable.Free},
		"an older event, at work": {claimtable.Claim{Status: claimtable.Working, Sequencer: "01", LeaseUntil: 1001}, claimtable.Free},
		"a newer event, gone":     {claimtable.Claim{Status: claimtable.Failed, Sequencer: "03", LeaseUntil: 999}, claimtable.Superseded},
	} {
		require.Equal(t, test.want, test.claim.Standing(claimtable.Object{Sequencer: "02"}, now), name)
	}
}
