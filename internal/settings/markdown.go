package settings

import (
	"fmt"
	"strings"
)

// Markdown is the table of all keys for docs/configuration.md: key, type, default, meaning, in the order of [Keys].
func Markdown() string {
	var table strings.Builder
	table.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, key := range Keys() {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", key.Name, markdownType(key), markdownDefault(key), markdownCell(key.Doc))
	}
	return table.String()
}

// markdownType names a list by what it holds.
func markdownType(key Key) string {
	if key.Type == TypeArray {
		return fmt.Sprintf("list of %ss", key.Items)
	}
	return string(key.Type)
}

// markdownDefault shows the default as it would be typed. One element of a list goes on one line, for a table's sake.
func markdownDefault(key Key) string {
	list, isList := key.Default.([]any)
	if !isList {
		if key.raw() == "" {
			return "none"
		}
		return "`" + markdownCell(key.raw()) + "`"
	}
	if len(list) == 0 {
		return "`[]`"
	}
	lines := make([]string, 0, len(list))
	for _, element := range list {
		lines = append(lines, "`"+markdownCell(CompactJSON(element))+"`")
	}
	return strings.Join(lines, "<br>")
}

// markdownCell keeps a text inside its cell.
func markdownCell(text string) string {
	return strings.ReplaceAll(text, "|", `\|`)
}
