package objectstore

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// xmlText is text in an answer as S3 writes it: what XML 1.0 has no way for stands as a character reference all the same, &#x8;, which a
// parser refuses. That is why a listing is asked for with encoding-type=url.
type xmlText string

// MarshalXML implements xml.Marshaler.
func (t xmlText) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	var text strings.Builder
	for _, r := range string(t) {
		switch {
		case strings.ContainsRune("&<>\"'", r), r < ' ', r == 0xFFFE, r == 0xFFFF:
			fmt.Fprintf(&text, "&#x%X;", r)
		default:
			text.WriteRune(r)
		}
	}
	return e.EncodeElement(struct { //nolint:wrapcheck // it is the encoder's own
		Text string `xml:",innerxml"`
	}{text.String()}, start)
}

// xmlTime is a time in an answer.
type xmlTime time.Time

// MarshalText implements encoding.TextMarshaler.
func (t xmlTime) MarshalText() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format("2006-01-02T15:04:05.000Z")), nil
}

// encoder writes the keys and prefixes of a listing.
type encoder func(text string) xmlText

func plainText(text string) xmlText { return xmlText(text) }

// urlText is text by encoding-type=url; slashes stay.
func urlText(text string) xmlText {
	return xmlText(strings.ReplaceAll(url.QueryEscape(text), "%2F", "/"))
}

// writeXML answers with a document.
func (q *request) writeXML(document any) error {
	body, err := xml.Marshal(document)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	q.w.Header().Set("Content-Type", "application/xml")
	_, _ = q.w.Write(append([]byte(xml.Header), body...))
	return nil
}

// xmlChecksum are the elements that show a checksum.
type xmlChecksum struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

// of is the element of an algorithm; nil for one that there isn't.
func (x *xmlChecksum) of(algorithm string) *string {
	return map[string]*string{
		"CRC32": &x.ChecksumCRC32, "CRC32C": &x.ChecksumCRC32C, algorithmNVME: &x.ChecksumCRC64NVME,
		"SHA1": &x.ChecksumSHA1, "SHA256": &x.ChecksumSHA256,
	}[algorithm]
}

// elements show the checksum; without its type for a part.
func (c checksum) elements(ofPart bool) xmlChecksum {
	var x xmlChecksum
	if value := x.of(c.algorithm); value != nil && c.value != "" {
		*value = c.value
		if !ofPart {
			x.ChecksumType = c.kind()
		}
	}
	return x
}
