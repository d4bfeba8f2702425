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
	// stack is the one that was named; empty if none was.
	stack string
	// given are the values of --config.
	given map[string]string
	// above is that --config goes before all else that the command takes, and that a file isn't read, or not alone.
	above bool
}

// inList is a path in a list: the element's number, and the field if it is an object.
var inList = regexp.MustCompile(`^\w+\[(\d+)\](?:\.(.+))?$`)

// apply changes the fixes of an error that is one of settings.
func (f *fixer) apply(err error) error {
	var invalid *settings.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	for i := range invalid.Problems {
		p := &invalid.Problems[i]
		if text, ok := f.byFlag(*p); ok {
			p.Fix.Text = text
		}
		p.Fix.Stack = f.stack
	}
	return err
}

// byFlag is a problem's fix by --config; false if it isn't the flag that fixes it.
func (f *fixer) byFlag(p settings.Problem) (string, bool) {
	if len(p.Fix.Rename) > 0 {
		return f.withoutNamespace(p.Fix)
	}
	if value, given := f.given[p.Key]; given && p.Meant != "" {
		return f.meant(p.Key, p.Meant, value), true
	}
	root := p.Key
	_, given := f.given[root]
	if !given {
		root = settings.RootOf(p.Key)
		_, given = f.given[root]
	}
	switch fix := p.Fix; {
	case fix.Secret:
		return "", false
	case settings.RootOf(fix.Path) != fix.Path && given:
		return f.changed(root, fix)
	case fix.Remove:
		return "leave out --config " + root, given
	default:
		_, other := f.given[fix.Path]
		return assigned(fix.Path, fix.Value), given || other || f.above
	}
}

// withoutNamespace gives the keys of another project by the flag without it.
func (f *fixer) withoutNamespace(fix settings.Fix) (string, bool) {
	var flags []string
	for _, key := range fix.Rename {
		if value, given := f.given[key]; given {
			_, name, _ := strings.Cut(key, ":")
			flags = append(flags, assigned(name, value))
		}
	}
	text := strings.Join(flags, " ")
	if len(flags) < len(fix.Rename) {
		text = fix.String() + "; " + text
	}
	return text, len(flags) > 0
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
		if parts := inList.FindStringSubmatch(key); parts != nil && parts[2] == "" && settings.RootOf(key) == root {
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
func (f *fixer) changed(root string, fix settings.Fix) (string, bool) {
	var list []any
	parts := inList.FindStringSubmatch(fix.Path)
	if parts == nil || json.Unmarshal([]byte(f.given[root]), &list) != nil {
		return "", false
	}
	i, err := strconv.Atoi(parts[1])
	if err != nil || i >= len(list) {
		return "", false
	}
	object, isObject := list[i].(map[string]any)
	switch field := parts[2]; {
	case field == "" && fix.Remove:
		list = slices.Delete(list, i, i+1)
	case field == "":
		list[i] = fix.Value
	case !isObject:
		return "", false
	case fix.Remove:
		delete(object, field)
	default:
		object[field] = fix.Value
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
