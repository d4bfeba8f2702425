package engines_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mapCase is a Map of the cases of our own interpreter.
type mapCase struct {
	ending

	Map   json.RawMessage
	Input json.RawMessage
}

func (m mapCase) definition() json.RawMessage {
	return json.RawMessage(`{"StartAt":"MapState","States":{"MapState":` + string(m.Map) + `}}`)
}

// otherMaps are the cases in which aws-local-stepfunctions isn't as AWS, by how their names begin, and why.
var otherMaps = map[string]string{
	"JSONata": "it has no JSONata",
}

// TestMapsOfTheLanguage asks the engine for the Inline Maps: it has no Distributed ones.
func TestMapsOfTheLanguage(t *testing.T) {
	t.Parallel()
	cases := slices.DeleteFunc(readCases[mapCase](t, aslCases+"maps.jsonl"), func(c mapCase) bool {
		return strings.Contains(string(c.Map), "DISTRIBUTED")
	})
	requests := make([]request, len(cases))
	for i, c := range cases {
		requests[i] = request{Definition: c.definition(), Input: c.Input, Context: map[string]any{}}
	}
	agrees(t, requests, otherMaps, func(i int) ending { return cases[i].ending })
}

// unknownMaps are the cases that asl-validator takes for no definitions, by how their names begin, and why.
var unknownMaps = map[string]string{
	"MaxItems 0 is all": "it wants at least 1",
}

// TestMapDefinitions asks asl-validator for the Maps, which are all valid.
func TestMapDefinitions(t *testing.T) {
	t.Parallel()
	cases := readCases[mapCase](t, aslCases+"maps.jsonl")
	definitions := make([]json.RawMessage, len(cases))
	for i, c := range cases {
		definitions[i] = c.definition()
	}
	used := map[string]bool{}
	for i, line := range node(t, "asl-validator", "validator.js", definitions) {
		var got struct{ Valid bool }
		require.NoError(t, json.Unmarshal(line, &got))
		if why, known := reason(unknownMaps, cases[i].Name); known {
			used[why] = used[why] || !got.Valid
			continue
		}
		assert.True(t, got.Valid, "%s: %s", cases[i].Name, definitions[i])
	}
	for _, why := range unknownMaps {
		assert.True(t, used[why], "the engine is as AWS meanwhile: %s", why)
	}
}
