package settings

import (
	"fmt"
	"strings"
)

// ProjectConfig is the part of Pulumi.yaml that declares the keys: each with its meaning and its default, in the order of [Keys]. No types
// are declared: Pulumi would refuse a key that was left blank, and a list that `pulumi config set` was given as JSON, and report one
// mistake at a time.
//
// https://www.pulumi.com/docs/iac/concepts/projects/project-file/#config-options
func ProjectConfig() string { return projectConfig(Keys()) }

func projectConfig(rows []Key) string {
	var text strings.Builder
	text.WriteString("config:\n")
	for _, key := range rows {
		fmt.Fprintf(&text, "  %s:\n    description: >-\n%s    default:", key.Name, folded(key.Doc))
		list, isList := key.Default.([]any)
		if !isList || len(list) == 0 {
			text.WriteString(" " + CompactJSON(key.Default) + "\n")
			continue
		}
		text.WriteString("\n")
		for _, element := range list {
			text.WriteString("      - " + CompactJSON(element) + "\n")
		}
	}
	return text.String()
}

// folded is a text as YAML folds it: on lines that are indented, and no longer than can be read.
func folded(text string) string {
	const longest = 118
	var lines strings.Builder
	line := "     "
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > longest {
			lines.WriteString(line + "\n")
			line = "     "
		}
		line += " " + word
	}
	return lines.String() + line + "\n"
}

// Markdown is the table of all keys for docs/configuration.md: key, type, default, meaning, in the order of [Keys].
func Markdown() string { return markdown(Keys()) }

func markdown(rows []Key) string {
	var table strings.Builder
	table.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, key := range rows {
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
	if key.Text() == "" {
		return "none"
	}
	if !isList || len(list) == 0 {
		return "`" + markdownCell(key.Text()) + "`"
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
