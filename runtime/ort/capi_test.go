//go:build cgo

package ort_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/internal/testneeds"
)

// The C interface is a table of functions, and capi.c knows those it calls by their
// places. The binding brings the header that declares the table in full.
func TestPlacesOfTheCInterface(t *testing.T) {
	places := placesInHeader(t)
	source, err := os.ReadFile("capi.c")
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`(?m)^  ([A-Z_]+) = (\d+),$`).FindAllStringSubmatch(string(source), -1)
	if len(known) < 30 {
		t.Fatalf("capi.c names %d functions; does it still list them one a line?", len(known))
	}
	for _, entry := range known {
		place, ok := places[entry[1]]
		if !ok || strconv.Itoa(place) != entry[2] {
			t.Errorf("%s: capi.c has it at %s, the header at %d (%t)", entry[1], entry[2], place, ok)
		}
	}
}

// placesInHeader counts the functions of the table, named as capi.c does.
func placesInHeader(t *testing.T) map[string]int {
	t.Helper()
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		testneeds.Lacking(t, testneeds.ORT, fmt.Errorf("go list: %w", err))
	}
	header, err := os.Open(filepath.Join(strings.TrimSpace(string(folder)), "onnxruntime_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	defer header.Close()
	entry := regexp.MustCompile(`^\s*(?:ORT_API2_STATUS\((\w+)|ORT_CLASS_RELEASE2?\((\w+)\)|ORT_API_T\([^,]+, (\w+)|[\w *]+\(ORT_API_CALL\* ?(\w+)\))`)
	places := map[string]int{}
	inTable := false
	for lines := bufio.NewScanner(header); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "struct OrtApi {") {
			inTable = true
			continue
		}
		if inTable && strings.HasPrefix(line, "};") {
			break
		}
		if match := entry.FindStringSubmatch(line); inTable && match != nil {
			name := match[1] + match[3] + match[4]
			if match[2] != "" {
				name = "Release" + match[2]
			}
			places[screaming(name)] = len(places)
		}
	}
	return places
}

var wordStart = regexp.MustCompile(`([a-z])([A-Z])`)

// screaming turns GetErrorCode into GET_ERROR_CODE.
func screaming(name string) string {
	return strings.ToUpper(wordStart.ReplaceAllString(name, "${1}_$2"))
}
