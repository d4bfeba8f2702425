package authz

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzGlob holds the wildcards against regular expressions.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{
		{"*", ""}, {"?", "é"}, {"a*b?c", "a--bbc"}, {"*ab*c", "aababc"}, {"**", "x"}, {"arn:aws:s3:::b/*", "arn:aws:s3:::b/k"},
		{"arn:*:s3:::?", "arn:aws:s3:::b"}, {"[a]*.\\", "[a]x.\\"}, {"a\n*", "a\nb"}, {"arn:aws:ecs:*:1:*", "arn:aws:ecs:r:1:task/c:d"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) { // a JSON text is always valid
			return
		}
		like := func(pattern, one string) *regexp.Regexp {
			return regexp.MustCompile(`(?s)^` + strings.NewReplacer(`\*`, one+`*`, `\?`, one).Replace(regexp.QuoteMeta(pattern)) + `$`)
		}
		if len(pattern) > 500 {
			return
		}
		if got, want := glob(pattern, text), like(pattern, ".").MatchString(text); got != want {
			t.Fatalf("%q fits %q: %t, by an expression %t", pattern, text, got, want)
		}
		if got, want := globAction(pattern, text), like(strings.ToLower(pattern), ".").MatchString(strings.ToLower(text)); got != want {
			t.Fatalf("the action %q fits %q: %t, by an expression %t", pattern, text, got, want)
		}
		parts := strings.SplitN(pattern, ":", arnParts)
		if pattern == "*" || len(parts) != arnParts {
			return
		}
		// No wildcard of an ARN's first five parts reaches over a colon.
		var whole strings.Builder
		for i, part := range parts {
			one := "[^:]"
			if i == arnParts-1 {
				one = "."
			}
			if i > 0 {
				whole.WriteString(":")
			}
			whole.WriteString(strings.NewReplacer(`\*`, one+`*`, `\?`, one).Replace(regexp.QuoteMeta(part)))
		}
		if got, want := globARN(pattern, text), regexp.MustCompile(`(?s)^`+whole.String()+`$`).MatchString(text); got != want {
			t.Fatalf("the ARN %q fits %q: %t, by an expression %t", pattern, text, got, want)
		}
	})
}
