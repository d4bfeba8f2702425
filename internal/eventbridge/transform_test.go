package eventbridge_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/eventbridge"
)

func TestTransformerFillsTheTemplate(t *testing.T) {
	t.Parallel()
	transformer := eventbridge.Transformer{
		Paths: map[string]string{
			"status": "$.detail.status", "at": "$.detail.stopDate", "none": "$.detail.cause.text", "type": "$.detail-type", "all": "$.detail.list",
		},
		Template: `"<status> at <at>, <type> <none>: <all>"`,
	}
	got, err := transformer.Apply([]byte(`{
		"detail-type": "a \"b\"", "detail": {"status": "ABORTED", "stopDate": 1790000000000, "list": [1]}
	}`))
	require.NoError(t, err)
	assert.Equal(t, `"ABORTED at 1790000000000, a \"b\" : [1]"`, got)
}

func TestTransformersThatAreNotKnownAreRefused(t *testing.T) {
	t.Parallel()
	for name, transformer := range map[string]eventbridge.Transformer{
		"no JSON":             {Template: `status <status>`},
		"an object":           {Template: `{"status": 1}`},
		"several lines":       {Template: "\"a\"\n\"b\""},
		"an unknown value":    {Template: `"<status>"`},
		"a path with indexes": {Template: `"<a>"`, Paths: map[string]string{"a": "$.detail[0]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, transformer.Validate(), eventbridge.ErrTransformer)
			_, err := transformer.Apply([]byte(`{}`))
			require.ErrorIs(t, err, eventbridge.ErrTransformer)
		})
	}
	_, err := eventbridge.Transformer{Template: `"a"`}.Apply([]byte(`{`))
	require.Error(t, err)
}
