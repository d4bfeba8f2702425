package dynamodb

import (
	"cmp"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// The bounds of a number: its significant digits, and the power of ten of the first of them.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number
const (
	maxDigits   = 38
	maxExponent = 125
	minExponent = -130
)

// overflow is what DynamoDB also says of a sum that takes more digits than it has (measured: scylladb's test_number.py).
const overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range"

// number is digits × 10^scale. Its digits end with no zero, and zero is 0 × 10^0, so that equal numbers are the same.
type number struct {
	digits *big.Int
	scale  int
}

// numberForm is what DynamoDB takes for a number: no Infinity or NaN, no hexadecimal digits, underscores or spaces.
var numberForm = regexp.MustCompile(`^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$`)

// parseNumber reads a number within the bounds.
func parseNumber(text string) (number, error) {
	if text == "" {
		return number{}, invalid("The parameter cannot be converted to a numeric value")
	}
	parts := numberForm.FindStringSubmatch(text)
	if parts == nil || parts[2]+parts[3] == "" {
		return number{}, invalid("The parameter cannot be converted to a numeric value: %s", text)
	}
	digits, _ := new(big.Int).SetString(parts[2]+parts[3], 10)
	if parts[1] == "-" {
		digits.Neg(digits)
	}
	exponent := 0
	if parts[4] != "" {
		var err error
		if exponent, err = strconv.Atoi(parts[4]); err != nil { // out of every range
			exponent = 1 << 30
			if strings.HasPrefix(parts[4], "-") {
				exponent = -exponent
			}
		}
	}
	n := reduced(digits, exponent-len(parts[3]))
	return n, n.check()
}

// reduced moves the zeros at the end of the digits into the scale.
func reduced(digits *big.Int, scale int) number {
	if digits.Sign() == 0 {
		return number{digits: new(big.Int)}
	}
	text := digits.String()
	short := strings.TrimRight(text, "0")
	if short != text {
		digits, _ = new(big.Int).SetString(short, 10)
	}
	return number{digits, scale + len(text) - len(short)}
}

// significant are the digits without a sign.
func (n number) significant() string { return strings.TrimPrefix(n.digits.String(), "-") }

func (n number) check() error {
	exponent := n.scale + len(n.significant()) - 1
	switch {
	case n.digits.Sign() == 0:
		return nil
	case exponent > maxExponent:
		return invalid(overflow)
	case exponent < minExponent:
		return invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	case len(n.significant()) > maxDigits:
		return invalid("Attempting to store more than %d significant digits in a Number", maxDigits)
	}
	return nil
}

// String is the number as DynamoDB gives it: no exponent, and no zeros that say nothing.
func (n number) String() string {
	digits, sign := n.significant(), ""
	if n.digits.Sign() < 0 {
		sign = "-"
	}
	if n.scale >= 0 {
		return sign + digits + strings.Repeat("0", n.scale)
	}
	if missing := -n.scale - len(digits) + 1; missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) + n.scale
	return sign + digits[:point] + "." + digits[point:]
}

// aligned are the digits of both at the smaller scale of the two.
func (n number) aligned(other number) (a, b *big.Int, scale int) {
	scale = min(n.scale, other.scale)
	at := func(x number) *big.Int {
		power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(x.scale-scale)), nil)
		return power.Mul(power, x.digits)
	}
	return at(n), at(other), scale
}

func (n number) compare(other number) int {
	a, b, _ := n.aligned(other)
	return a.Cmp(b)
}

// plus adds. What has no room in a number is an overflow.
func (n number) plus(other number) (number, error) {
	a, b, scale := n.aligned(other)
	sum := reduced(a.Add(a, b), scale)
	if sum.check() != nil {
		return number{}, invalid(overflow)
	}
	return sum, nil
}

func (n number) negated() number { return number{new(big.Int).Neg(n.digits), n.scale} }

// size is what a number counts for in the size of its item: a byte for two digits, and one more.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func (n number) size() int { return (len(n.significant())+1)/2 + 1 }

// numberOf is a number that was checked when it came in.
func numberOf(a Attribute) number {
	n, _ := parseNumber(*a.N)
	return n
}

// compare orders two values of the same type, if that has an order.
func compare(a, b Attribute) (order int, ordered bool) {
	switch {
	case a.S != nil && b.S != nil:
		return cmp.Compare(*a.S, *b.S), true
	case a.N != nil && b.N != nil:
		return numberOf(a).compare(numberOf(b)), true
	}
	return 0, false
}
