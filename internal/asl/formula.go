package asl

// formula is a JSON value that is computed, or in which parts are, of what the query language lets it see: S.
type formula[S any] interface {
	eval(seen S) (any, error)
}

type fixed[S any] struct{ value any }

func (f fixed[S]) eval(S) (any, error) { return f.value, nil }

// objectFormula has its members in the order of the definition.
type objectFormula[S any] []member[S]

type member[S any] struct {
	key   string
	value formula[S]
}

func (f objectFormula[S]) eval(seen S) (any, error) {
	out := newObject(len(f))

	for _, member := range f {
		value, err := member.value.eval(seen)
		if err != nil {
			return nil, err
		}

		out.set(member.key, value)
	}

	return out, nil
}

type arrayFormula[S any] []formula[S]

func (f arrayFormula[S]) eval(seen S) (any, error) { return f.each(seen) }

func (f arrayFormula[S]) each(seen S) ([]any, error) {
	out := make([]any, len(f))

	for i, item := range f {
		value, err := item.eval(seen)
		if err != nil {
			return nil, err
		}

		out[i] = value
	}

	return out, nil
}
