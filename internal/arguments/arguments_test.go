package arguments_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/arguments"
)

type args struct {
	Name  string `required:"true"`
	Count int    `required:"true"`
	Note  string
	Part  *part
	Parts []part
}

type part struct {
	Name string `required:"true"`
}

func TestCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, arguments.Check(&args{Name: "a", Count: 1}))
	for _, test := range []struct {
		given *args
		want  string
	}{
		{&args{Count: 1}, "Name of arguments_test.args: required, and not given"},
		{&args{Note: "n"}, "Name, Count of arguments_test.args: required, and not given"},
		{&args{Name: "a", Part: &part{}, Parts: []part{{Name: "b"}, {}}}, "Count, Part.Name, Parts[1].Name of arguments_test.args: " +
			"required, and not given"},
		{nil, "*arguments_test.args: required, and not given"},
	} {
		err := arguments.Check(test.given)
		require.ErrorIs(t, err, arguments.ErrMissing)
		require.EqualError(t, err, test.want)
	}
}

// TestRequiredFieldsHaveTheTag holds the components' arguments to what is said of them.
func TestRequiredFieldsHaveTheTag(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../components/*/*.go")
	require.NoError(t, err)
	count := 0
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Doc == nil || len(field.Names) == 0 {
				return true
			}
			required := strings.Contains(field.Doc.Text(), "Required.")
			tagged := field.Tag != nil && strings.Contains(field.Tag.Value, `required:"true"`)
			if required {
				count++
				assert.True(t, tagged, "%s: %s has no tag", file, field.Names[0].Name)
			}
			return true
		})
	}
	assert.Greater(t, count, 30)
}
