package dynamodb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

// Attribute is the value of an attribute: exactly one of a string, a number and a set of strings. DynamoDB's other types aren't here.
type Attribute struct {
	S  *string  `json:"S,omitempty"`
	N  *string  `json:"N,omitempty"`
	SS []string `json:"SS,omitempty"`
}

// The types that an [Attribute] may have, by DynamoDB's names.
const (
	typeString    = "S"
	typeNumber    = "N"
	typeStringSet = "SS"
)

// typeNames are all types, those that aren't here too, in the order in which DynamoDB's error names them.
var typeNames = strings.Fields("B NULL SS BOOL L BS N NS S M")

// Item is an item by its attributes' names.
type Item map[string]Attribute

// The sizes that DynamoDB keeps to, in bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const (
	maxItemBytes       = 400 << 10
	maxHashBytes       = 2048
	maxRangeBytes      = 1024
	maxExpressionBytes = 4096
)

// kind is the type's name; empty for none.
func (a Attribute) kind() string {
	switch {
	case a.S != nil:
		return typeString
	case a.N != nil:
		return typeNumber
	case a.SS != nil:
		return typeStringSet
	}
	return ""
}

// String is the value as DynamoDB's errors show it.
func (a Attribute) String() string {
	switch a.kind() {
	case typeString:
		return "{S:" + *a.S + "}"
	case typeNumber:
		return "{N:" + *a.N + "}"
	}
	return fmt.Sprintf("{SS:%v}", a.SS)
}

// normalized is the value as it is stored, or what DynamoDB has against it.
func (a Attribute) normalized() (Attribute, error) {
	given := 0
	for _, is := range []bool{a.S != nil, a.N != nil, a.SS != nil} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		return a, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	case given > 1:
		return a, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	case a.N != nil:
		n, err := parseNumber(*a.N)
		if err != nil {
			return a, err
		}
		a.N = new(n.String())
	case a.SS != nil:
		if err := checkSet(a.SS); err != nil {
			return a, err
		}
		a.SS = slices.Sorted(slices.Values(a.SS))
	}
	return a, nil
}

func checkSet(set []string) error {
	const wrong = "One or more parameter values were invalid: "
	switch {
	case len(set) == 0:
		return invalid(wrong + "An string set  may not be empty")
	case slices.Contains(set, ""):
		return invalid(wrong + "An string set may not have a empty string as a member")
	case len(slices.Compact(slices.Sorted(slices.Values(set)))) != len(set):
		return invalid(wrong+"Input collection [%s] contains duplicates.", strings.Join(set, ", "))
	}
	return nil
}

// equal says whether two values are the same: sets in any order, numbers in any form.
func (a Attribute) equal(b Attribute) bool {
	if a.kind() != b.kind() {
		return false
	}
	if a.kind() == typeStringSet {
		return slices.Equal(slices.Sorted(slices.Values(a.SS)), slices.Sorted(slices.Values(b.SS)))
	}
	order, ordered := compare(a, b)
	return ordered && order == 0
}

// length is what the function size gives: of a text the UTF-16 code units (measured: ExtendDB#67), and of a number nothing.
func (a Attribute) length() (int, bool) {
	switch a.kind() {
	case typeString:
		return len(utf16.Encode([]rune(*a.S))), true
	case typeStringSet:
		return len(a.SS), true
	}
	return 0, false
}

// contains is the function of this name: a part of a text, or an element of a set.
func (a Attribute) contains(part Attribute) bool {
	switch {
	case part.S == nil:
		return false
	case a.S != nil:
		return strings.Contains(*a.S, *part.S)
	}
	return slices.Contains(a.SS, *part.S)
}

// bytes is what the item counts for.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func (i Item) bytes() int {
	size := 0
	for name, value := range i {
		size += len(name)
		switch value.kind() {
		case typeString:
			size += len(*value.S)
		case typeNumber:
			size += numberOf(value).size()
		}
		for _, element := range value.SS {
			size += len(element)
		}
	}
	return size
}

func (i Item) clone() Item {
	if i == nil {
		return nil
	}
	out := make(Item, len(i))
	for name, value := range i {
		value.SS = slices.Clone(value.SS)
		out[name] = value
	}
	return out
}

// normalized is the item as it is stored.
func (i Item) normalized() (Item, error) {
	out := i.clone()
	for _, name := range slices.Sorted(maps.Keys(i)) {
		value, err := i[name].normalized()
		if err != nil {
			return nil, err
		}
		out[name] = value
	}
	return out, nil
}
