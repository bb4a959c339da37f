// Reads one message a line, validates it, decodes it into a struct, and validates what Go makes of that struct;
// writes one verdict a line.
//
//	validate <folder of the schemas>
//
// The library of Debian 12 reads draft 7. The schemas use no keyword that means something else in 2020-12. A pattern
// that Go's regexp does not take ends the program.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/xeipuuv/gojsonschema"
)

type verdict struct {
	Name  string `json:"name"`
	Valid bool   `json:"valid"`
	Why   string `json:"why"`
}

func main() {
	schemas, err := load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var sent struct{ Name, Text string }
		if err := json.Unmarshal(lines.Bytes(), &sent); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		said := verdict{Name: sent.Name, Valid: true}
		if err := against(schemas, []byte(sent.Text)); err != nil {
			said.Valid, said.Why = false, err.Error()
		}
		_ = out.Encode(said)
	}
}

// load compiles every schema of a folder, and on its own each pattern in it.
func load(folder string) (map[string]*gojsonschema.Schema, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no schemas in %s", folder)
	}
	found := map[string]*gojsonschema.Schema{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var document any
		if err := json.Unmarshal(text, &document); err != nil {
			return nil, err
		}
		if err := compilePatterns(document); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		loader := gojsonschema.NewSchemaLoader()
		loader.Draft, loader.AutoDetect = gojsonschema.Draft7, false
		schema, err := loader.Compile(gojsonschema.NewBytesLoader(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		found[strings.TrimSuffix(filepath.Base(file), ".json")] = schema
	}
	return found, nil
}

func compilePatterns(part any) error {
	switch part := part.(type) {
	case []any:
		for _, one := range part {
			if err := compilePatterns(one); err != nil {
				return err
			}
		}
	case map[string]any:
		if pattern, ok := part["pattern"].(string); ok {
			if _, err := regexp.Compile(pattern); err != nil {
				return err
			}
		}
		for _, one := range part {
			if err := compilePatterns(one); err != nil {
				return err
			}
		}
	}
	return nil
}

// against says what is wrong with a message, if anything is.
func against(schemas map[string]*gojsonschema.Schema, text []byte) error {
	var head struct{ Type string }
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	schema, message := schemas[head.Type], newMessage(head.Type)
	if schema == nil || message == nil {
		return fmt.Errorf("no message of type %q", head.Type)
	}
	if err := validate(schema, text); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(message); err != nil {
		return fmt.Errorf("it is valid, but cannot be decoded: %w", err)
	}
	written, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if err := validate(schema, written); err != nil {
		return fmt.Errorf("as Go writes it: %w", err)
	}
	return nil
}

func validate(schema *gojsonschema.Schema, text []byte) error {
	found, err := schema.Validate(gojsonschema.NewBytesLoader(text))
	if err != nil {
		return err
	}
	if found.Valid() {
		return nil
	}
	var why []string
	for _, one := range found.Errors() {
		why = append(why, one.String())
	}
	return fmt.Errorf("%s", strings.Join(why, "; "))
}
