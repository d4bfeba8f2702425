// Package factors is the table of the settings that change the state machine's shape, and the few variants that tests go through
// in the place of all combinations: the default, all on, each setting alone, and a pairwise cover.
package factors

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

// Value is one value of a factor.
type Value struct {
	// Name is what the names of variants have for it. Default: the key's value.
	Name string
	// Config is the configuration that gives it: the factor's key, and the keys that it can't be without. Two values whose keys
	// disagree don't occur together. Required.
	Config map[string]string
	// Route sets it in what the state machine is made of; nil: as by default.
	Route func(*machine.Description)
	// Less says that the value takes something away: with all on, the factor keeps its first value.
	Less bool
}

// Factor is a setting, or what else may differ from variant to variant.
type Factor struct {
	// Key is the key of the configuration. Required.
	Key string
	// Values are the default, and those that differ from it. Required, at least two.
	Values []Value
}

// routes are what each key that changes the machine's shape sets with its other value, in what the state machine is made of. In this order
// the cover has every part of every combination, too.
var routes = []struct {
	key   string
	route func(*machine.Description)
}{
	{"notifySuccess", func(r *machine.Description) { r.NotifySuccess = false }},
	{"assignPublicIp", func(r *machine.Description) { r.AssignPublicIP = false }},
	{"taskCompletion", func(r *machine.Description) { r.TaskCallback = true }},
	{"ledgerRetentionDays", func(r *machine.Description) { r.LedgerRetentionDays = 0 }},
	{"taskCapacity", ofTasks(func(r *routing.Route) { r.Spot = true })},
	{"maxParallelTasks", ofTasks(func(r *routing.Route) { r.MaxParallel = 1 })},
	{"tracing", func(r *machine.Description) { r.Tracing = true }},
}

// ofTasks sets something in each route whose uploads a task processes.
func ofTasks(set func(*routing.Route)) func(*machine.Description) {
	return func(r *machine.Description) {
		for i := range r.Routes {
			if r.Routes[i].Compute == machine.Fargate {
				set(&r.Routes[i])
			}
		}
	}
}

// Machine are the settings that change the state machine's shape, with the values that their rows have for it. A number that only changes a
// number in it, such as sizeThreshold, is none.
func Machine() []Factor {
	rows := map[string]settings.Key{}
	for _, key := range settings.Keys() {
		rows[key.Name] = key
	}
	out := make([]Factor, 0, len(routes))
	for _, r := range routes {
		key := rows[r.key]
		other := Value{Config: map[string]string{key.Name: key.Shape.Other}, Route: r.route, Less: key.Shape.Less}
		maps.Copy(other.Config, key.Shape.With)
		if other.Config["network"] == string(settings.NetworkExisting) {
			maps.Copy(other.Config, ExistingNetwork())
		}
		out = append(out, Factor{Key: key.Name, Values: []Value{{Config: map[string]string{key.Name: key.Text()}}, other}})
	}
	return out
}

// ExistingNetwork is the configuration of a network that is there, of made up identifiers.
func ExistingNetwork() map[string]string {
	return map[string]string{
		"network": string(settings.NetworkExisting), "vpcId": "vpc-0123456789abcdef0",
		"subnetIds": `["` + strings.Join(SubnetIDs(), `","`) + `"]`,
	}
}

// SubnetIDs are the subnets of the network that is there. Whoever evaluates a variant must know of them.
func SubnetIDs() []string { return []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef1"} }

// Variant is a value for each factor.
type Variant struct {
	// Name has what differs from the default, as key-value, and tells the variant from all others.
	Name string
	// Config is its configuration.
	Config map[string]string

	routes []func(*machine.Description)
}

// Route sets the variant in what the state machine is made of. What other variants set must be as by default there.
func (v Variant) Route(r *machine.Description) {
	for _, set := range v.routes {
		set(r)
	}
}

// nameOfDefault is the variant's in which nothing differs from the default.
const nameOfDefault = "default"

// variant is the variant of a row.
func variant(factors []Factor, row []int) Variant {
	out := Variant{Config: map[string]string{}}
	var differs []string
	for i, f := range factors {
		value := f.Values[row[i]]
		maps.Copy(out.Config, value.Config)
		if row[i] > 0 {
			differs = append(differs, f.Key+"-"+cmp.Or(value.Name, value.Config[f.Key]))
		}
		if value.Route != nil {
			out.routes = append(out.routes, value.Route)
		}
	}
	out.Name = strings.Join(differs, "-")
	if out.Name == "" {
		out.Name = nameOfDefault
	}
	return out
}

// Default is the variant in which nothing differs from the default.
func Default(factors []Factor) Variant { return variant(factors, make([]int, len(factors))) }

// AllOn is the variant with all that can be switched on. Values that don't go with one of an earlier factor are left out.
func AllOn(factors []Factor) Variant { return variant(factors, allOn(factors)) }

func allOn(factors []Factor) []int {
	row := make([]int, len(factors))
	for i, f := range factors {
		for v := range f.Values {
			if !f.Values[v].Less && fits(factors, row, i, v) {
				row[i] = v
			}
		}
	}
	return row
}

// Variants are the default, all on, each value alone (or with no more than it can't be without), and a pairwise cover: each pair of
// values that may occur together occurs in one of them. No variant is given twice, and their order is always the same. The factors'
// first values must go together.
func Variants(factors []Factor) []Variant {
	rows := [][]int{make([]int, len(factors)), allOn(factors)}
	for i, f := range factors {
		for v := 1; v < len(f.Values); v++ {
			alone := slices.Repeat([]int{unset}, len(factors))
			alone[i] = v
			if alone = complete(factors, alone, nil); alone != nil {
				rows = append(rows, alone)
			}
		}
	}
	var out []Variant
	seen := map[string]bool{}
	for _, row := range append(rows, cover(factors)...) {
		if v := variant(factors, row); !seen[v.Name] {
			seen[v.Name] = true
			out = append(out, v)
		}
	}
	return out
}
