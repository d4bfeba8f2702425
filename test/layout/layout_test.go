// Package layout_test holds what architecture.md says of the packages: which are public, and what imports what.
package layout_test

import (
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// load loads packages by their patterns, from the module's folder.
func load(t *testing.T, mode packages.LoadMode, patterns ...string) []*packages.Package {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{Context: t.Context(), Mode: packages.NeedName | mode, Dir: "../.."}, patterns...)
	require.NoError(t, err)
	require.NotEmpty(t, loaded)
	for _, p := range loaded {
		require.Empty(t, p.Errors)
	}
	return loaded
}

// A program of another module can name each type that it meets in a public package.
func TestNothingPublicShowsATypeOfInternal(t *testing.T) {
	t.Parallel()
	public := load(t, packages.NeedTypes|packages.NeedExportFile|packages.NeedImports,
		"./components/...", "./upload/...", "./worker", "./processor", "./operate")
	for _, p := range public {
		t.Run(strings.TrimPrefix(p.PkgPath, module), func(t *testing.T) {
			t.Parallel()
			scope := p.Types.Scope()
			for _, name := range scope.Names() {
				if object := scope.Lookup(name); object.Exported() {
					shown := shown{}
					shown.object(object)
					assert.Empty(t, slices.Collect(maps.Keys(shown)), name)
				}
			}
		})
	}
}

// shown are the types of internal packages that can be met.
type shown map[string]bool

// object looks at a type with its exported fields and methods, or at what a function, a variable or a constant is.
func (s shown) object(object types.Object) {
	named, ok := object.Type().(*types.Named)
	if _, isType := object.(*types.TypeName); !isType || !ok {
		s.of(object.Type())
		return
	}
	s.of(named.Underlying())
	for method := range named.Methods() {
		if method.Exported() {
			s.of(method.Signature())
		}
	}
}

// of looks at a type as it is written; a named one is looked at where it is declared.
func (s shown) of(t types.Type) {
	switch t := t.(type) {
	case *types.Named:
		s.named(t.Obj())
		for argument := range t.TypeArgs().Types() {
			s.of(argument)
		}
	case *types.Alias:
		s.named(t.Obj())
		s.of(t.Rhs())
	case *types.Struct:
		for field := range t.Fields() {
			if field.Exported() {
				s.of(field.Type())
			}
		}
	case *types.Signature:
		s.of(t.Params())
		s.of(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			s.of(v.Type())
		}
	case *types.Interface:
		for method := range t.Methods() {
			s.of(method.Signature())
		}
	case *types.Map:
		s.of(t.Key())
		s.of(t.Elem())
	case interface{ Elem() types.Type }: // a pointer, a slice, an array, a channel
		s.of(t.Elem())
	}
}

func (s shown) named(object *types.TypeName) {
	if p := object.Pkg(); p != nil && strings.HasPrefix(p.Path(), module+"internal/") {
		s[p.Path()+"."+object.Name()] = true
	}
}

const module = "example.com/upload-router/"

// What is replaced or used alone doesn't bring the rest with it.
func TestImports(t *testing.T) {
	t.Parallel()
	for pattern, allowed := range map[string][]string{
		"./upload":            {},
		"./upload/media":      {},
		"./processor":         {"upload"},
		"./worker":            {"upload", "internal/host"},
		"./functions/process": {"processor", "worker"},
		"./task":              {"processor", "worker"},
		"./internal/host/...": {
			"upload", "internal/host", "internal/ledger", "internal/partition", "internal/routemetric", "internal/statustag",
		},
		"./internal/ledger": {},
		"./internal/machine": {
			"components/routing", "upload", "internal/asl", "internal/ledger", "internal/host/request", "internal/partition",
		},
	} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			for _, p := range load(t, packages.NeedImports, pattern) {
				for path := range p.Imports {
					ours, ok := strings.CutPrefix(path, module)
					within := func(folder string) bool { return ours == folder || strings.HasPrefix(ours, folder+"/") }
					assert.True(t, !ok || slices.ContainsFunc(allowed, within), "%s imports %s", p.PkgPath, path)
				}
			}
		})
	}
	plain := []string{"access", "egress", "location", "routing"} // what components are told, and no components
	for _, p := range load(t, packages.NeedImports, "./components/...") {
		for path := range p.Imports {
			ours, component := strings.CutPrefix(path, module+"components/")
			assert.True(t, !component || slices.Contains(plain, ours), "%s imports %s", p.PkgPath, path)
			assert.NotRegexp(t, "/(pulumi-docker|upload-router/internal/build)(/|$)", path, "%s builds nothing", p.PkgPath)
		}
	}
}

// Whoever asks the state machine for its routes or times needs no SDK for that.
func TestTheMachineIsPureGo(t *testing.T) {
	t.Parallel()
	packages.Visit(load(t, packages.NeedImports|packages.NeedDeps, "./internal/machine"), nil, func(p *packages.Package) {
		assert.NotRegexp(t, "/(pulumi|aws-sdk-go)", p.PkgPath)
	})
}
