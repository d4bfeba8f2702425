package settings_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

func TestTaggingRules(t *testing.T) {
	t.Parallel()
	t.Run("tagUploads", func(t *testing.T) {
		t.Parallel()
		checkRules(t, config{}, "tagUploads", []rule{
			{"none", ""}, {"status", ""}, {"quarantine", ""}, {"true", "must be none, status or quarantine"},
		})
	})
	t.Run("expireProcessedAfterDays", func(t *testing.T) {
		t.Parallel()
		for _, with := range []string{"status", "quarantine"} {
			checkRules(t, config{"tagUploads": with}, "expireProcessedAfterDays", []rule{{"0", ""}, {"1", ""}, {"-1", "from 1"}})
		}
		checkRules(t, config{}, "expireProcessedAfterDays", []rule{
			{"0", ""}, {"30", "goes with tagUploads status or quarantine only, not with none"},
		})
	})
}

// What expires in a bucket with versions isn't deleted by that.
func TestExpiryWarnsOfWhatIsKept(t *testing.T) {
	t.Parallel()
	quiet := config{"notify": `["ops@example.com"]`, "tagUploads": "status"}
	assert.Empty(t, mustLoad(t, quiet).Warnings())
	expiring := quiet.with("expireProcessedAfterDays", "30")
	warnings := mustLoad(t, expiring).Warnings()
	require.Len(t, warnings, 1)
	assert.Equal(t, "expireProcessedAfterDays", warnings[0].Key)
	assert.Contains(t, warnings[0].Text, "pulumi config set noncurrentVersionsAfterDays 30")
	assert.Empty(t, mustLoad(t, expiring.with("noncurrentVersionsAfterDays", "30")).Warnings())
	assert.Equal(t, settings.TagNone, mustLoad(t, config{}).TagUploads)
}
