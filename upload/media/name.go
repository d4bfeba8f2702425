package media

import (
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// endings are the media types that a name's ending tells: of text, which its content doesn't, and of what a page is made of. The
// machine's own table, which mime.TypeByExtension reads, would have a file's type depend on where it is sent from.
//
// https://www.iana.org/assignments/media-types/media-types.xhtml
var endings = map[string]string{
	".avif": "image/avif", ".bin": "application/octet-stream", ".css": "text/css", ".csv": "text/csv", ".gif": "image/gif",
	".htm": "text/html", ".html": "text/html", ".ics": "text/calendar", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
	".js": "text/javascript", ".json": "application/json", ".log": "text/plain", ".md": "text/markdown", ".mjs": "text/javascript",
	".pdf": "application/pdf", ".png": "image/png", ".svg": "image/svg+xml", ".tsv": "text/tab-separated-values", ".txt": "text/plain",
	".vcf": "text/vcard", ".wasm": "application/wasm", ".webp": "image/webp", ".xml": "text/xml", ".yaml": "application/yaml",
	".yml": "application/yaml", ".zip": "application/zip",
}

// TypeOfFile is the media type of a file: the one that its name tells, else what its beginning shows. The charset of text is always
// what the beginning shows, and none where that tells none.
func TypeOfFile(name string, start []byte) string {
	shown, hasLines := TypeOf(start)
	told, known := endings[strings.ToLower(filepath.Ext(name))]
	if !known {
		return shown
	}
	if !strings.HasPrefix(told, "text/") || len(start) == 0 {
		return told
	}
	if _, charset, has := strings.Cut(shown, charsetOf); has {
		return told + charsetOf + charset
	}
	if hasLines && isUTF8(start) {
		return told + charsetOf + "utf-8"
	}
	return told
}

// isUTF8 reports whether a beginning is UTF-8, the last character of which may be cut.
func isUTF8(start []byte) bool {
	if len(start) < Looked {
		return utf8.Valid(start)
	}
	for cut := range utf8.UTFMax {
		if utf8.Valid(start[:len(start)-cut]) {
			return true
		}
	}
	return false
}
