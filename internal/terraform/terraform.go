// Package terraform writes a declared system in Terraform's language, for the security checkers that read Terraform and not
// Pulumi. It is for reading alone: nothing is deployed from it.
//
// Pulumi's AWS provider is made from Terraform's, so that types and inputs have the same names in another spelling; where they
// differ, it stands in declared.Kind. A type that isn't known is an error: what isn't written isn't checked.
//
// It is the native syntax and not JSON, in which nothing tells a block from an attribute: a checker that doesn't have the
// provider's schema then takes a bucket with encryption for one without.
// https://developer.hashicorp.com/terraform/language/syntax/configuration
package terraform

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"example.com/upload-router/internal/declared"
)

var (
	// ErrUnknownType is matched by the error for a resource whose type isn't known.
	ErrUnknownType = errors.New("no Terraform type is known for it: add it to the table in internal/declared")

	errValue = errors.New("a value that Terraform has no form for")
)

// Write gives the resources of a system in a Region as one .tf file. Inputs that
// are another resource's ARN, id or name are references to it.
func Write(system *declared.System, region string) ([]byte, error) {
	w := &writer{references: map[string]hcl.Traversal{}}
	for _, r := range system.Resources {
		if err := w.name(r); err != nil {
			return nil, err
		}
	}
	file := hclwrite.NewEmptyFile()
	file.Body().AppendNewBlock("provider", []string{"aws"}).Body().SetAttributeValue("region", cty.StringVal(region))
	for _, r := range system.Resources {
		k, _ := declared.KindOf(r.Type)
		if k.Terraform == "" {
			continue
		}
		body := file.Body().AppendNewBlock("resource", []string{k.Terraform, labelOf(r)}).Body()
		if err := w.body(body, r.Inputs, "", k); err != nil {
			return nil, fmt.Errorf("writing %s: %w", r.Name, err)
		}
	}
	return hclwrite.Format(file.Bytes()), nil
}

type writer struct {
	references map[string]hcl.Traversal // by the value that they stand for
}

// notInLabels are characters that a name of Terraform's can't have.
var notInLabels = regexp.MustCompile(`[^A-Za-z0-9_-]`)

func labelOf(r declared.Resource) string { return notInLabels.ReplaceAllString(r.Name, "_") }

// name notes by which values others refer to a resource.
func (w *writer) name(r declared.Resource) error {
	if !r.Custom {
		return nil
	}
	k, known := declared.KindOf(r.Type)
	if !known {
		return fmt.Errorf("%s %s: %w", r.Type, r.Name, ErrUnknownType)
	}
	note := func(value any, attribute string) {
		text, _ := value.(string)
		if _, taken := w.references[text]; text != "" && !taken {
			w.references[text] = hcl.Traversal{
				hcl.TraverseRoot{Name: k.Terraform}, hcl.TraverseAttr{Name: labelOf(r)}, hcl.TraverseAttr{Name: attribute},
			}
		}
	}
	if r.Inputs["arn"] == nil { // of others it is somebody else's
		note(r.Outputs["arn"], "arn")
	}
	for _, attribute := range k.RefersBy {
		if attribute == "id" {
			note(r.ID, attribute)
			continue
		}
		note(r.Outputs[camel(attribute)], attribute)
	}
	return nil
}

// body writes inputs; path is where they are in the resource.
func (w *writer) body(body *hclwrite.Body, inputs map[string]any, path string, k declared.Kind) error {
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		at := strings.TrimPrefix(path+"."+name, ".")
		own := k.Renamed[at]
		if own == "" {
			own = snake(name)
		}
		blocks, areBlocks := blocksOf(inputs[name], name)
		if !areBlocks {
			tokens, err := w.tokens(inputs[name])
			if err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			body.SetAttributeRaw(own, tokens)
			continue
		}
		for _, b := range blocks {
			if err := w.body(body.AppendNewBlock(own, nil).Body(), b, at, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownNames are inputs whose keys are no names of inputs.
var ownNames = []string{"tags", "dimensions", "variables"}

// blocksOf gives the blocks that a value is written as: an object, unless it is
// a map of names of one's own, and each object of a list.
func blocksOf(value any, name string) ([]map[string]any, bool) {
	if slices.Contains(ownNames, name) {
		return nil, false
	}
	if object, ok := value.(map[string]any); ok {
		return []map[string]any{object}, true
	}
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		return nil, false
	}
	blocks := make([]map[string]any, len(list))
	for i, e := range list {
		if blocks[i], ok = e.(map[string]any); !ok {
			return nil, false
		}
	}
	return blocks, true
}

// tokens is a value as text of the language.
func (w *writer) tokens(value any) (hclwrite.Tokens, error) {
	switch v := value.(type) {
	case nil:
		return hclwrite.TokensForValue(cty.NullVal(cty.String)), nil
	case string:
		if reference, ok := w.references[v]; ok {
			return hclwrite.TokensForTraversal(reference), nil
		}
		return hclwrite.TokensForValue(cty.StringVal(v)), nil
	case bool:
		return hclwrite.TokensForValue(cty.BoolVal(v)), nil
	case float64:
		return hclwrite.TokensForValue(cty.NumberFloatVal(v)), nil
	case []any:
		elements := make([]hclwrite.Tokens, len(v))
		for i, e := range v {
			var err error
			if elements[i], err = w.tokens(e); err != nil {
				return nil, err
			}
		}
		return hclwrite.TokensForTuple(elements), nil
	case map[string]any:
		var attributes []hclwrite.ObjectAttrTokens
		for _, name := range slices.Sorted(maps.Keys(v)) {
			tokens, err := w.tokens(v[name])
			if err != nil {
				return nil, err
			}
			attributes = append(attributes, hclwrite.ObjectAttrTokens{
				Name: hclwrite.TokensForValue(cty.StringVal(name)), Value: tokens,
			})
		}
		return hclwrite.TokensForObject(attributes), nil
	}
	return nil, fmt.Errorf("%w: %T", errValue, value)
}

var upper = regexp.MustCompile(`[A-Z]`)

// snake is Terraform's spelling of an input of Pulumi's.
func snake(name string) string {
	return upper.ReplaceAllStringFunc(name, func(c string) string { return "_" + strings.ToLower(c) })
}

var underscored = regexp.MustCompile(`_[a-z]`)

// camel is Pulumi's spelling of an attribute of Terraform's.
func camel(name string) string {
	return underscored.ReplaceAllStringFunc(name, func(c string) string { return strings.ToUpper(c[1:]) })
}
