package settings

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Why a text is no whole number of the configuration.
var (
	errNoNumber    = errors.New("it is no whole number")
	errLeadingZero = errors.New("it begins with a zero")
)

// wholeNumber reads a whole number as the configuration has it, which is the one rule for all of them: decimal digits, a minus sign
// at most, and no zero in front, since 010 is 8 to YAML and 10 to most people.
func wholeNumber(text string) (int, error) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errNoNumber
	}
	if digits[0] == '0' && text != "0" {
		return 0, errLeadingZero
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNoNumber, err)
	}
	return number, nil
}

// noted is what a rule says besides for a number that would keep it if it were written otherwise.
func noted(err error) string {
	if errors.Is(err, errLeadingZero) {
		return ", without a zero in front"
	}
	return ""
}

// decimals writes numbers as a configuration holds them.
func decimals(numbers []int) []string {
	words := make([]string, 0, len(numbers))
	for _, number := range numbers {
		words = append(words, strconv.Itoa(number))
	}
	return words
}
