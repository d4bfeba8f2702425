package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// width is how long a line for people is, if its words allow.
	width = 80
	// longest is how much of a text is shown, in characters; --json has all of it.
	longest = 1000
)

// indented breaks a text into lines that begin with the indentation.
func indented(text, indentation string) string {
	var out strings.Builder
	column := 0
	for word := range strings.SplitSeq(text, " ") {
		length := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			out.WriteString(indentation)
			column = utf8.RuneCountInString(indentation)
		case column+1+length > width:
			out.WriteString("\n" + indentation)
			column = utf8.RuneCountInString(indentation)
		default:
			out.WriteString(" ")
			column++
		}
		out.WriteString(word)
		column += length
	}
	return out.String()
}

// clip keeps a text to what one reads.
func clip(text string) string {
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + " …"
	}
	return text
}

// printable escapes what would do more to a terminal than be shown: control
// characters, and those that change the direction of the text.
func printable(text string) string {
	if !strings.ContainsFunc(text, unprintable) && utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case unprintable(r):
			quoted := strconv.QuoteRune(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		default:
			out.WriteRune(r)
		}
		text = text[size:]
	}
	return out.String()
}

// printableLines is printable for a text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// printableRows is printable for each cell of a table.
func printableRows(rows [][]string) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		out[i] = make([]string, len(row))
		for j, cell := range row {
			out[i][j] = printable(cell)
		}
	}
	return out
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// printableJSON is printable for JSON, which means the same afterwards.
func printableJSON(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r == '\n' || !unprintable(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}
