// Command generate writes the generated documents, or the definitions of all variants of the state machine for a linter:
//
//	go run ./internal/docs/generate
//	go run ./internal/docs/generate -variants FOLDER
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/docs"
)

func main() {
	variants := flag.String("variants", "", "write the variants of the state machine into this folder instead")
	flag.Parse()
	if err := run(*variants); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(variants string) error {
	if variants != "" {
		return writeVariants(variants)
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	files, err := docs.Files(root)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return fmt.Errorf("writing a document: %w", err)
		}
	}
	return nil
}

func writeVariants(folder string) error {
	definitions, err := docs.Variants()
	if err != nil {
		return err
	}
	for name, definition := range definitions {
		if err := os.WriteFile(filepath.Join(folder, name+".asl.json"), []byte(definition), 0o644); err != nil {
			return fmt.Errorf("writing a variant: %w", err)
		}
	}
	return nil
}
