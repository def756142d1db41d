// Package doccheck holds the documentation of the public packages to a rule: every
// exported identifier has a comment, and every package an example that runs.
package doccheck

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sources are the files of a package.
type sources struct{ code, tests []*ast.File }

func TestPublicPackagesAreDocumented(t *testing.T) {
	packages := public(t)
	if len(packages) < 10 {
		t.Fatalf("found only %d packages", len(packages))
	}
	for folder, s := range packages {
		t.Run(folder, func(t *testing.T) {
			for _, name := range undocumented(s.code) {
				t.Errorf("%s has no comment", name)
			}
			// ONNX Runtime is not on every machine, so that its example only compiles.
			if !hasExample(s.tests, folder == "runtime/ort") {
				t.Error("there is no example with an // Output:")
			}
		})
	}
}

func TestWhatIsNotDocumentedIsFound(t *testing.T) {
	code := parse(t, `package p
const A, B = 1, 2
// C is documented.
const C = 3
const (
	// D too.
	D = 4
	E = 5 // And E.
	F = 6
)
// Those of a group need no more.
var ( V = 1; W = 2 )
type T struct{}
func (*T) M() {}
// N is documented.
func (T) N() {}
func (t) O() {}
type t struct{}
func f() {}
func G() {}
`)
	if got, want := strings.Join(undocumented([]*ast.File{code}), " "), "package A F T T.M G"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAnExampleThatDoesNotRunIsNone(t *testing.T) {
	silent := parse(t, "package p_test\nfunc Example() { p.Do() }\n")
	runs := parse(t, "package p_test\nfunc Example() {\n\tp.Do()\n\t// Output: done\n}\n")
	if hasExample([]*ast.File{silent}, false) || !hasExample([]*ast.File{silent}, true) || !hasExample([]*ast.File{runs}, false) {
		t.Error("an example is taken for what it is not")
	}
}

func TestReadmeShowsLinesOfAnExample(t *testing.T) {
	readme, example := read(t, "README.md"), read(t, "export/example_test.go")
	_, code, _ := strings.Cut(readme, "\n```go\n")
	code, _, found := strings.Cut(code, "```")
	if !found {
		t.Fatal("README.md has no Go code")
	}
	lines := map[string]bool{"": true}
	for line := range strings.Lines(example) {
		lines[strings.TrimSpace(line)] = true
	}
	for line := range strings.Lines(code) {
		line, _, _ = strings.Cut(line, "//")
		if !lines[strings.TrimSpace(line)] {
			t.Errorf("the example of package export does not have %q", line)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t *testing.T, source string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// public parses the packages that other modules can import, by their folders.
func public(t *testing.T) map[string]sources {
	t.Helper()
	root := filepath.Join("..", "..")
	packages := map[string]sources{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		private := []string{"internal", "cmd", "examples", "testdata"}
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (slices.Contains(private, entry.Name()) || strings.HasPrefix(entry.Name(), ".") && path != root):
			return filepath.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		s := packages[filepath.ToSlash(folder)]
		if strings.HasSuffix(path, "_test.go") {
			s.tests = append(s.tests, file)
		} else {
			s.code = append(s.code, file)
		}
		packages[filepath.ToSlash(folder)] = s
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// hasExample says whether there is an example, which runs unless it need not.
func hasExample(tests []*ast.File, needNotRun bool) bool {
	return slices.ContainsFunc(doc.Examples(tests...), func(e *doc.Example) bool {
		return needNotRun || e.Output != "" || e.EmptyOutput
	})
}

// undocumented lists the exported identifiers without a comment.
func undocumented(code []*ast.File) (names []string) {
	if !slices.ContainsFunc(code, func(f *ast.File) bool { return f.Doc != nil }) {
		names = append(names, "package")
	}
	for _, file := range code {
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if name := nameOf(d); d.Doc == nil && name != "" {
					names = append(names, name)
				}
			case *ast.GenDecl:
				names = append(names, bare(d)...)
			}
		}
	}
	return names
}

// nameOf is a function's name, with its type, or "" where that is not exported.
func nameOf(f *ast.FuncDecl) string {
	switch {
	case !f.Name.IsExported():
		return ""
	case f.Recv == nil:
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if name, ok := of.(*ast.Ident); ok && name.IsExported() {
		return name.Name + "." + f.Name.Name
	}
	return ""
}

// bare lists what a declaration of constants, variables or types says nothing about.
func bare(d *ast.GenDecl) (names []string) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				names = append(names, s.Name.Name)
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				names = append(names, s.Names[0].Name)
			}
		}
	}
	return names
}
