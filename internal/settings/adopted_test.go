package settings_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Beside buckets that are there already nothing goes that is for one of the stack's own.
func TestBuckets(t *testing.T) {
	t.Parallel()
	checkRules(t, config{}, "buckets", []rule{
		{"", ""}, {"[]", ""}, {`["acme-uploads"]`, ""}, {`["acme-uploads","acme-more"]`, ""},
		{`["Acme"]`, "lowercase"}, {`["acme-uploads","acme-uploads"]`, "in the list already"}, {"acme-uploads", "must be a list of strings"},
	})
	adopted := config{"buckets": `["acme-uploads"]`}
	for key, values := range map[string][]rule{
		"bucketName":                  {{"", ""}, {"ours", "is the name of a bucket of the stack's own, and nothing of buckets is changed"}},
		"abortUploadsAfterDays":       {{"7", ""}, {"3", "is of a bucket's lifecycle, and nothing of buckets"}},
		"noncurrentVersionsAfterDays": {{"0", ""}, {"30", "is of a bucket's lifecycle, and nothing of buckets"}},
		"bucketKmsKeyArns":            {{`["` + keyARN + `"]`, ""}, {`["alias/a"]`, "must be an ARN"}},
		"tagUploads":                  {{"status", ""}, {"quarantine", ""}},
		"forceDestroy":                {{"true", ""}},
	} {
		checkRules(t, adopted, key, values)
	}
	checkRules(t, adopted.with("outputBucket", "create"), "abortUploadsAfterDays", []rule{{"3", ""}})
	checkRules(t, adopted.with("outputBucket", "create"), "noncurrentVersionsAfterDays", []rule{{"30", ""}})
	checkRules(t, adopted.with("tagUploads", "status"), "expireProcessedAfterDays", []rule{{"30", "is of a bucket's lifecycle"}})
	warnings := mustLoad(t, config{"bucketKmsKeyArns": `["` + keyARN + `"]`}).Warnings()
	require.Equal(t, "bucketKmsKeyArns", warnings[0].Key)
	problems := problemsOf(t, adopted.with("bucketName", "ours"))
	require.Len(t, problems, 1)
	assert.Equal(t, "pulumi config rm bucketName", problems[0].Fix.String())
}

func TestOutputsAmongAdoptedBuckets(t *testing.T) {
	t.Parallel()
	base := config{"buckets": `["acme-uploads","acme-more"]`, "outputBucket": "acme-more"}
	problems := problemsOf(t, base)
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Rule, "must not be a bucket of the uploads, buckets, all of whose objects are taken")
	loaded := mustLoad(t, base.with("keys", `["in/*"]`).with("outputPrefix", "results/"))
	assert.True(t, loaded.OutputsAmongUploads())
	assert.False(t, loaded.OutputsInOwnBucket())
	require.Len(t, problemsOf(t, base.with("keys", `["in/*"]`).with("outputPrefix", "in/")), 1)
	require.Len(t, problemsOf(t, base.with("keys", `["a**"]`)), 1, "what follows from wrong globs isn't said besides")
}

func TestTooManyBuckets(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf(`"acme-%058d"`, i))
	}
	problems := problemsOf(t, config{"buckets": "[" + strings.Join(names, ",") + "]"})
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Rule, "and a rule of EventBridge takes 2048")
	assert.Contains(t, problems[0].Fix.String(), "take buckets out")
}
