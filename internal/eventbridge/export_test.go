package eventbridge

// Complexity is how complex wildcards are together.
func Complexity(expressions ...string) (int, error) {
	var ops []operator
	for _, expression := range expressions {
		op, err := parseWildcard(expression, "")
		if err != nil {
			return 0, err
		}
		ops = append(ops, op)
	}
	return complexity(wildcardsOf(ops)), nil
}
