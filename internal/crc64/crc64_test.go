package crc64_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/crc64"
)

// TestOf has the catalogue's check value, 0xae8b14860a799888, as S3 writes it.
// https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-64-nvme
func TestOf(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{"": "AAAAAAAAAAA=", "123456789": "rosUhgp5mIg="} {
		sum, err := crc64.Of(bytes.NewReader([]byte(content)))
		require.NoError(t, err)
		require.Equal(t, want, sum.String())
	}
	_, err := crc64.Of(iotest.ErrReader(errors.New("broken disk"))) //nolint:err113 // It is the test's.
	require.ErrorContains(t, err, "broken disk")
}

// TestAppend has the checksum of the whole from those of its parts, wherever it is cut.
func TestAppend(t *testing.T) {
	t.Parallel()
	content := make([]byte, 70_001)
	_, err := rand.Read(content)
	require.NoError(t, err)
	of := func(b []byte) crc64.Sum {
		sum, err := crc64.Of(bytes.NewReader(b))
		require.NoError(t, err)
		return sum
	}
	for _, at := range []int{0, 1, 2, 7, 8, 4096, 65_536, 70_000, 70_001} {
		require.Equal(t, of(content), of(content[:at]).Append(of(content[at:]), int64(len(content)-at)), "cut at %d", at)
	}
	require.Equal(t, of(content), of(content[:9]).Append(of(content[9:500]), 491).Append(of(content[500:]), 69_501), "three parts")
}
