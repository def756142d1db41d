package ort

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// fetchVersion is the ONNX Runtime that Fetch gets.
const fetchVersion = "1.30.0"

// nodePackage is the npm package that carries ONNX Runtime for all systems.
var nodePackage = archive{
	name:   "onnxruntime-node@" + fetchVersion,
	sha512: "twhs1C2C/BFkz1yc5OY0KIU2GUq6DURO7hD4bx5Q2Qy3nAMJwRXW8xU3NVczE29VA9lolLOYepoD8fjTGOfIqw==",
	files: map[string][]string{
		"linux/amd64":   {"linux/x64/libonnxruntime.so.1"},
		"linux/arm64":   {"linux/arm64/libonnxruntime.so.1"},
		"darwin/arm64":  {"darwin/arm64/libonnxruntime.1.dylib"},
		"windows/amd64": {"win32/x64/DirectML.dll", "win32/x64/onnxruntime.dll"},
		"windows/arm64": {"win32/arm64/DirectML.dll", "win32/arm64/onnxruntime.dll"},
	},
}

// archive is a package with libraries in it.
type archive struct {
	name   string
	sha512 string // in base64, as npm writes it
	// files lists by system and processor what to take from the package's folder
	// of libraries. The library itself comes last: once it is there, all is.
	files map[string][]string
}

// Fetch gets ONNX Runtime with npm, from wherever the user's npm gets its packages,
// and puts it into the cache folder, where Find finds it. It does nothing if it is
// there already, and takes only an archive with the checksum known here. Two
// processes may do it at once. The progress, if not nil, is told what goes on.
func Fetch(ctx context.Context, progress func(message string)) (Location, error) {
	folder, err := cacheFolder()
	if err != nil {
		return Location{}, fmt.Errorf("ort: fetch: there is no folder to keep the library in: %w", err)
	}
	if file, err := libraryAt(folder); err == nil {
		return Location{file, inCache}, nil
	}
	if progress == nil {
		progress = func(string) {}
	}
	file, err := nodePackage.fetch(ctx, folder, progress)
	if err != nil {
		return Location{}, fmt.Errorf("ort: fetch: %w", err)
	}
	return Location{file, inCache}, nil
}

// fetch puts the files for this machine into a folder and returns the library's path.
func (a archive) fetch(ctx context.Context, folder string, progress func(string)) (string, error) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	files := a.files[platform]
	if len(files) == 0 {
		return "", fmt.Errorf("%s has no library for %s; build ONNX Runtime and set %s to its path", a.name, platform, libraryEnv)
	}
	temporary, err := os.MkdirTemp("", "onnxloss-fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)
	progress("downloading " + a.name + " with npm")
	packed, err := npmPack(ctx, a.name, temporary)
	if err != nil {
		return "", err
	}
	progress("verifying " + a.name)
	if err := a.verify(packed); err != nil {
		return "", err
	}
	progress("unpacking into " + folder)
	if err := unpack(packed, files, temporary); err != nil {
		return "", fmt.Errorf("unpack %s: %w", a.name, err)
	}
	return install(files, temporary, folder)
}

// npmPack downloads a package into a folder and returns the archive's path.
func npmPack(ctx context.Context, name, folder string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm is not on the PATH; install Node.js, or get ONNX Runtime otherwise and set %s to the library's path", libraryEnv)
	}
	var output strings.Builder
	command := exec.CommandContext(ctx, npm, "pack", name)
	command.Dir, command.Stdout, command.Stderr = folder, &output, &output
	if err := command.Run(); err != nil {
		return "", errors.Join(fmt.Errorf("npm pack %s failed (%s): %w", name, complaint(output.String()), err), ctx.Err())
	}
	archives, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("npm pack %s left %d archives, want 1", name, len(archives))
	}
	return archives[0], nil
}

// complaint gives what npm wrote about an error, in one line.
func complaint(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "npm error "); ok && len(lines) < 3 {
			lines = append(lines, text)
		}
	}
	if len(lines) == 0 {
		return strings.Join(strings.Fields(output), " ")
	}
	return strings.Join(lines, ", ")
}

func (a archive) verify(packed string) error {
	file, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != a.sha512 {
		return fmt.Errorf("%s has the sha512 %s, want %s; nothing was installed", a.name, got, a.sha512)
	}
	return nil
}

// unpack writes some files of the package's folder of libraries, without their
// folders.
func unpack(packed string, files []string, folder string) error {
	file, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	missing := map[string]bool{}
	for _, name := range files {
		missing["package/bin/napi-v6/"+name] = true
	}
	contents := tar.NewReader(plain)
	for len(missing) > 0 {
		header, err := contents.Next()
		if err == io.EOF {
			return fmt.Errorf("%d of %d files are not in it", len(missing), len(files))
		}
		if err != nil {
			return err
		}
		if !missing[header.Name] {
			continue
		}
		delete(missing, header.Name)
		if err := write(filepath.Join(folder, path.Base(header.Name)), contents); err != nil {
			return err
		}
	}
	return nil
}

func write(name string, contents io.Reader) error {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, contents)
	return errors.Join(err, file.Close())
}

// install moves files into a folder, each of them at once, and returns the path of
// the last one.
func install(files []string, from, folder string) (string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	var target string
	for _, name := range files {
		target = filepath.Join(folder, path.Base(name))
		if err := move(filepath.Join(from, path.Base(name)), target); err != nil {
			return "", fmt.Errorf("install %s: %w", target, err)
		}
	}
	return target, nil
}

// move copies a file to a new name in the target's folder, which may lie on another
// disk, and renames it: others see the whole file or none.
func move(from, target string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	partial, err := os.CreateTemp(filepath.Dir(target), ".partial-*")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	_, err = io.Copy(partial, source)
	if err := errors.Join(err, partial.Chmod(0o755), partial.Close()); err != nil {
		return err
	}
	err = os.Rename(partial.Name(), target)
	if _, missing := os.Stat(target); err != nil && missing == nil {
		return nil // Windows does not replace a library that another process uses
	}
	return err
}
