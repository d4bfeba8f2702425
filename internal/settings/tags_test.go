package settings_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

func TestTags(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		value string
		want  map[string]string
	}{
		"none":                        {`{}`, nil},
		"several":                     {`{"owner":"us","cost-centre":"4711"}`, map[string]string{"owner": "us", "cost-centre": "4711"}},
		"empty":                       {`{"owner":""}`, map[string]string{"owner": ""}},
		"what the command line makes": {`{"a":4711,"b":true,"c":1.50}`, map[string]string{"a": "4711", "b": "true", "c": "1.50"}},
		"every character":             {`{"Ä b_.:/=+-@1":"ß"}`, map[string]string{"Ä b_.:/=+-@1": "ß"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.want, mustLoad(t, config{"tags": row.value}).Tags)
		})
	}
}

// many is so many tags.
func many(count int) string {
	tags := map[string]string{}
	for i := range count {
		tags[fmt.Sprintf("key-%d", i)] = "value"
	}
	text, err := json.Marshal(tags)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Requirement C48.
func TestTagProblems(t *testing.T) {
	t.Parallel()
	one := func(key, value string) string { return fmt.Sprintf(`{%q:%q}`, key, value) }
	for name, row := range map[string]struct{ value, key, want string }{
		"no object":           {`["owner"]`, "tags", "must be an object"},
		"null":                {`null`, "tags", "must be an object"},
		"no string":           {`{"owner":{}}`, "tags.owner", "must be a string"},
		"null value":          {`{"owner":null}`, "tags.owner", "must be a string"},
		"no key":              {one("", "us"), `tags.""`, "needs a key"},
		"AWS's own":           {one("AWS:owner", "us"), "tags.AWS:owner", "begins with aws:"},
		"the stack's":         {one("Stack", "us"), "tags.Stack", "the stack sets itself"},
		"a resource's":        {one("name", "us"), "tags.name", "the stack sets itself"},
		"a character":         {one("owner", "a&b"), "tags.owner", "letters, digits"},
		"a line break":        {one("owner", "a\nb"), "tags.owner", "letters, digits"},
		"a character of keys": {one("owner?", "us"), "tags.owner?", "letters, digits"},
		"long key":            {one(strings.Repeat("ü", 129), ""), "tags." + strings.Repeat("ü", 120) + "…", "128 characters, this has 129"},
		"long value":          {one("owner", strings.Repeat("ü", 257)), "tags.owner", "at most 256 characters, this has 257"},
		"capitals":            {`{"Owner":"us","owner":"us"}`, "tags.owner", "differs from Owner in capitals only"},
		"too many":            {many(48), "tags", "at most 47 tags, which is all that AWS takes besides the stack's own, this has 48"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, config{"tags": row.value})
			require.Len(t, problems, 1)
			assert.Equal(t, row.key, problems[0].Key)
			assert.Contains(t, problems[0].Rule, row.want)
			assert.Contains(t, problems[0].Fix.String(), `upload-router:tags: {"owner":"platform-team"}`)
		})
	}
	require.Empty(t, problemsOf(t, config{"tags": many(47)}))
	require.Empty(t, problemsOf(t, config{"tags": one(strings.Repeat("ü", 128), strings.Repeat("ü", 256))}))
	require.Len(t, problemsOf(t, config{"tags": `{"aws:a":"b","c?":"d","e":[]}`}), 3, "all at once")
}

func TestVersionsThatTheDeadLettersNeed(t *testing.T) {
	t.Parallel()
	warned := func(days string) bool {
		for _, w := range mustLoad(t, config{"noncurrentVersionsAfterDays": days}).Warnings() {
			if w.Key == "noncurrentVersionsAfterDays" {
				return true
			}
		}
		return false
	}
	assert.Equal(t, []bool{false, true, true, false}, []bool{warned("0"), warned("1"), warned("13"), warned("14")})
	assert.NotEmpty(t, settings.Keys())
}

// Nobody hears of what is protected, either: it is said once, and how to fix it.
func TestWhatIsProtectedNeedsSomebodyWhoHears(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		protect, notify string
		want            []string
	}{
		{"true", `[]`, []string{"upload-router:notify: nobody will hear of a failure of what people rely on: " +
			"pulumi config set --path 'notify[0]' ops@example.com"}},
		{"false", `[]`, []string{"upload-router:notify: nobody will hear of a failure"}},
		{"true", `["ops@example.com"]`, nil},
	} {
		var said []string
		for _, w := range mustLoad(t, config{"protect": row.protect, "notify": row.notify, "tags": `{"owner":"us"}`}).Warnings() {
			said = append(said, w.String())
		}
		assert.Equal(t, row.want, said)
	}
}

// Whoever finds what is protected must find whose it is.
func TestWhatIsProtectedNeedsAnOwner(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]string{
		`{}`:                "upload-router:tags: nobody is named as the owner of what is kept: pulumi config set --path 'tags.owner' my-team",
		`{"owner":""}`:      "upload-router:tags: nobody is named as the owner of what is kept: pulumi config set --path 'tags.owner' my-team",
		`{"owner":"us"}`:    "",
		`{"Owner":"us"}`:    "",
		`{"costs":"owner"}`: "upload-router:tags: nobody is named as the owner of what is kept: pulumi config set --path 'tags.owner' my-team",
	} {
		warned := func(protect string) string {
			for _, w := range mustLoad(t, config{"tags": tags, "protect": protect}).Warnings() {
				if w.Key == "tags" {
					return w.String()
				}
			}
			return ""
		}
		assert.Equal(t, want, warned("true"), tags)
		assert.Empty(t, warned("false"), "what is thrown away needs none")
	}
}
