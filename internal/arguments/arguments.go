// Package arguments checks what a component is given: without what it needs, it would declare something else than was meant, or panic.
package arguments

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// ErrMissing matches the error about arguments that are required and aren't given.
var ErrMissing = errors.New("required, and not given")

// Check names all fields with the tag `required:"true"` that have their type's zero value: of the struct that args points to, and of
// those in it that are given.
func Check(args any) error {
	given := reflect.ValueOf(args)
	if given.IsNil() {
		return fmt.Errorf("%T: %w", args, ErrMissing)
	}
	if missing := missing(given.Elem(), ""); len(missing) > 0 {
		return fmt.Errorf("%s of %s: %w", strings.Join(missing, ", "), given.Type().Elem(), ErrMissing)
	}
	return nil
}

// missing are the paths of the fields that are required and have no value.
func missing(given reflect.Value, path string) []string {
	var paths []string
	switch given.Kind() { //nolint:exhaustive // No other kind has fields.
	case reflect.Pointer:
		if !given.IsNil() {
			return missing(given.Elem(), path)
		}
	case reflect.Slice:
		for i := range given.Len() {
			paths = append(paths, missing(given.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case reflect.Struct:
		for i := range given.NumField() {
			field := given.Type().Field(i)
			name := strings.TrimPrefix(path+"."+field.Name, ".")
			if field.Tag.Get("required") == "true" && given.Field(i).IsZero() {
				paths = append(paths, name)
				continue
			}
			paths = append(paths, missing(given.Field(i), name)...)
		}
	}
	return paths
}
