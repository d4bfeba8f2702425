package cli

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/upload-router/internal/settings"
)

// fixer has problems fixed where a command takes its configuration from: what --config gives isn't in any file that `pulumi config` would
// change.
type fixer struct {
	project string
	// stack is the one that was named; empty if none was.
	stack string
	// given are the values of --config.
	given map[string]string
	// above is that --config goes before all else that the command takes, and that a file isn't read, or not alone.
	above bool
}

// The fixes of settings, and the paths in them.
var (
	setsKey  = regexp.MustCompile(`^pulumi config set ([^-\s]\S*) (.*)$`)
	setsPath = regexp.MustCompile(`^pulumi config set --path '(.+)' (.*)$`)
	dropKey  = regexp.MustCompile(`^pulumi config rm ([^-\s]\S*)$`)
	dropPath = regexp.MustCompile(`^pulumi config rm --path '(.+)'$`)
	inList   = regexp.MustCompile(`^\w+\[(\d+)\](?:\.(.+))?$`)
	fileHas  = regexp.MustCompile(`^in Pulumi\.\S+\.yaml, below config: \S+:([A-Za-z]+): (.*)$`)
)

// elementForm is the path of a list's element, as `pulumi config set --path` takes it.
var elementForm = regexp.MustCompile(`^\w+\[\d+\]$`)

// apply changes the fixes of an error that is one of settings.
func (f *fixer) apply(err error) error {
	var invalid *settings.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	for i, problem := range invalid.Problems {
		invalid.Problems[i].Fix = f.fix(problem)
	}
	return err
}

// fix is a problem's, by the flag or by the named stack's file.
func (f *fixer) fix(p settings.Problem) string {
	if fix, ok := f.byFlag(p); ok {
		return fix
	}
	if f.stack != "" && strings.HasPrefix(p.Fix, "pulumi config ") {
		return p.Fix + " --stack " + f.stack
	}
	return p.Fix
}

// byFlag is a problem's fix by --config; false if it isn't the flag that fixes it.
func (f *fixer) byFlag(p settings.Problem) (string, bool) {
	if keys := strings.Split(p.Key, ", "); f.isForeign(keys[0]) {
		return f.withoutNamespace(keys, p)
	}
	value, given := f.given[p.Key]
	if given && p.Meant != "" {
		return f.meant(p.Key, p.Meant, value), true
	}
	root := settings.RootOf(p.Key)
	_, given = f.given[root]
	if set := setsKey.FindStringSubmatch(p.Fix); set != nil {
		_, other := f.given[set[1]]
		return "--config " + set[1] + "=" + set[2], given || other || f.above
	}
	if list := fileHas.FindStringSubmatch(p.Fix); list != nil {
		return assigned(list[1], list[2]), given || f.above
	}
	if set := setsPath.FindStringSubmatch(p.Fix); set != nil && given {
		value := strings.Trim(set[2], "'")
		return f.changed(root, set[1], &value)
	}
	if drop := dropPath.FindStringSubmatch(p.Fix); drop != nil && given {
		return f.changed(root, drop[1], nil)
	}
	return "leave out --config " + root, given && dropKey.MatchString(p.Fix)
}

// isForeign says whether a key has a project's namespace that isn't this project's, as far as --config gave it.
func (f *fixer) isForeign(key string) bool {
	namespace, name, found := strings.Cut(key, ":")
	isKey := slices.ContainsFunc(settings.Keys(), func(k settings.Key) bool { return k.Name == name })
	return found && namespace != f.project && (isKey || namespace == settings.Namespace)
}

// withoutNamespace gives the keys of another project by the flag without it.
func (f *fixer) withoutNamespace(keys []string, p settings.Problem) (string, bool) {
	var flags []string
	for _, key := range keys {
		if value, given := f.given[key]; given {
			_, name, _ := strings.Cut(key, ":")
			flags = append(flags, assigned(name, value))
		}
	}
	fix := strings.Join(flags, " ")
	if len(flags) < len(keys) {
		fix = p.Fix + "; " + fix
	}
	return fix, len(flags) > 0
}

// meant is the assignment that was meant by one of a key that there isn't: for a part of a list or an object, all of it.
func (f *fixer) meant(key, meant, value string) string {
	if settings.RootOf(key) != meant {
		return assigned(meant, value)
	}
	return assigned(meant, f.whole(meant)) + " (a list or an object is given whole, as JSON)"
}

// whole is the list or the object whose parts were given one by one. It is the example for one of more than strings.
func (f *fixer) whole(root string) string {
	var list []string
	object := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(f.given)) {
		if elementForm.MatchString(key) && settings.RootOf(key) == root {
			list = append(list, f.given[key])
		}
		if name, ok := strings.CutPrefix(key, root+"."); ok {
			object[name] = f.given[key]
		}
	}
	for _, key := range settings.Keys() {
		switch {
		case key.Name != root:
		case key.Items == settings.TypeString && len(list) > 0:
			return settings.CompactJSON(list)
		case key.Type == settings.TypeObject && len(object) > 0:
			return settings.CompactJSON(object)
		default:
			return key.Example
		}
	}
	return ""
}

// changed is --config with another value at a path in the list that it gave, or with none there; false if there is no such path.
func (f *fixer) changed(root, at string, value *string) (string, bool) {
	var list []any
	parts := inList.FindStringSubmatch(at)
	if parts == nil || json.Unmarshal([]byte(f.given[root]), &list) != nil {
		return "", false
	}
	i, err := strconv.Atoi(parts[1])
	if err != nil || i >= len(list) {
		return "", false
	}
	object, isObject := list[i].(map[string]any)
	switch field := parts[2]; {
	case field == "" && value == nil:
		list = slices.Delete(list, i, i+1)
	case field == "":
		list[i] = *value
	case !isObject:
		return "", false
	case value == nil:
		delete(object, field)
	default:
		object[field] = *value
	}
	return assigned(root, settings.CompactJSON(list)), true
}

// assigned is --config with a value, as a shell takes it.
func assigned(key, value string) string {
	if value == "" || settings.ShellQuote(value) == value {
		return "--config " + key + "=" + value
	}
	return "--config " + settings.ShellQuote(key+"="+value)
}
