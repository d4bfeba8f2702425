package settings_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

func TestOutputRules(t *testing.T) {
	t.Parallel()
	t.Run("outputBucket", func(t *testing.T) {
		t.Parallel()
		checkRules(t, config{"bucketName": "ours"}, "outputBucket", []rule{
			{"", ""}, {"none", ""}, {"create", ""}, {"theirs", ""}, {"ours-out", ""},
			{"Create", "lowercase"}, {"no", "3 to 63"}, {"s3://theirs", "lowercase"}, {"theirs/results", "lowercase"},
			{"ours", "must not be a bucket of the uploads, bucketName, all of whose objects are taken, without keys: each output"},
		})
	})
	t.Run("outputPrefix", func(t *testing.T) {
		t.Parallel()
		checkRules(t, config{"outputBucket": "create"}, "outputPrefix", []rule{
			{"", ""}, {"results/", ""}, {"a/b-", ""}, {"v1.2/(x)'!_", ""}, {strings.Repeat("a", 512), ""}, {"...", ""}, {"a../", ""},
			{strings.Repeat("a", 513), "at most 512 characters, this has 513"},
			{"/results", "begin with a slash"}, {"a//b", "two in a row"}, {"../up", ".."}, {"a/./b", "must not have ."}, {"a/..", ".."},
			{"a*", "S3 calls safe"}, {"a?", "S3 calls safe"}, {"${aws:username}/", "S3 calls safe"}, {"a b", "S3 calls safe"},
			{"büro/", "S3 calls safe"}, {"a\n", "S3 calls safe"},
		})
		checkRules(t, config{}, "outputPrefix", []rule{
			{"results/", "goes with outputBucket create or a bucket's name only, not with none"},
		})
	})
	t.Run("outputKmsKeyArn", func(t *testing.T) {
		t.Parallel()
		checkRules(t, config{"outputBucket": "theirs"}, "outputKmsKeyArn", []rule{
			{"", ""}, {keyARN, ""}, {"alias/mine", "must be an ARN"}, {"arn:aws:kms:eu-central-1:123456789012:alias/mine", "not an alias's"},
		})
	})
}

// What goes with an output bucket isn't judged where that itself is wrong.
func TestAWrongOutputBucketIsOneProblem(t *testing.T) {
	t.Parallel()
	problems := problemsOf(t, config{"outputBucket": "Ours", "outputPrefix": "results/"})
	require.Len(t, problems, 1)
	assert.Equal(t, "outputBucket", problems[0].Key)
}

func TestWritesOutputs(t *testing.T) {
	t.Parallel()
	assert.False(t, mustLoad(t, config{}).WritesOutputs())
	assert.True(t, mustLoad(t, config{"outputBucket": settings.OutputCreate}).WritesOutputs())
	assert.True(t, mustLoad(t, config{"outputBucket": "theirs"}).WritesOutputs())
}

// The way out of a loop is a bucket of its own.
func TestALoopHasAWayOut(t *testing.T) {
	t.Parallel()
	problems := problemsOf(t, config{"bucketName": "ours", "outputBucket": "ours"})
	require.Len(t, problems, 1)
	assert.Equal(t, "pulumi config set outputBucket create", problems[0].Fix.String())
}
