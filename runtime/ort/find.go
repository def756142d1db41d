package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// libraryEnv names the environment variable with the library's path or folder.
const libraryEnv = "ONNXLOSS_ORT"

// Location is a shared library of ONNX Runtime.
type Location struct {
	Path string // absolute
	How  string // which place it was found in, such as "ONNXLOSS_ORT" or "cache"
}

// Place is somewhere to look for the library.
type Place struct {
	How     string // "asked for", "ONNXLOSS_ORT", "cache" or "system"
	Path    string // a file or a folder; empty where the place has none on this machine
	Library string // the library's absolute path, or empty where there is none
	Problem string // why there is none
}

// Find gives the library to use: the one asked for, as a file or its folder; else
// the one that the environment variable ONNXLOSS_ORT names; else the one that Fetch
// put into the user's cache folder; else one in the system's folders. One that is
// named and not there is an error: another one in its stead would go unnoticed. The
// error wraps engine.ErrUnavailable and lists every place that was looked at.
func Find(explicit string) (Location, error) {
	var looked []string
	for _, place := range Places(explicit) {
		if place.Library != "" {
			return Location{place.Library, place.How}, nil
		}
		looked = append(looked, place.String())
		if place.How == askedFor || place.How == libraryEnv {
			break
		}
	}
	return Location{}, unavailable("found no ONNX Runtime in %s; fetch it, or set %s to the library's path", strings.Join(looked, ", "), libraryEnv)
}

const (
	askedFor = "asked for"
	inCache  = "cache"
	inSystem = "system"
)

// Places lists where Find looks, in its order, and what is there. The library asked
// for and ONNXLOSS_ORT are listed where they are set.
func Places(explicit string) []Place {
	var places []Place
	if explicit != "" {
		places = append(places, lookAt(askedFor, explicit))
	}
	if named := os.Getenv(libraryEnv); named != "" {
		places = append(places, lookAt(libraryEnv, named))
	}
	places = append(places, lookInCache())
	for _, folder := range systemFolders(runtime.GOOS) {
		places = append(places, lookAt(inSystem, folder))
	}
	return places
}

// String describes the place and what is there.
func (p Place) String() string {
	found := p.Library
	if found == "" {
		found = p.Problem
	}
	if p.Path == "" {
		return fmt.Sprintf("%s (%s)", p.How, found)
	}
	return fmt.Sprintf("%s %s (%s)", p.How, p.Path, found)
}

func lookInCache() Place {
	folder, err := cacheFolder()
	if err != nil {
		return Place{How: inCache, Problem: err.Error()}
	}
	return lookAt(inCache, folder)
}

// cacheFolder is where Fetch puts the library.
func cacheFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "onnxloss", fmt.Sprintf("onnxruntime-%s-%s-%s", fetchVersion, runtime.GOOS, runtime.GOARCH)), nil
}

func lookAt(how, path string) Place {
	place := Place{How: how, Path: path}
	file, err := libraryAt(path)
	if err != nil {
		place.Problem = err.Error()
		return place
	}
	// The system's loader would search its own folders for a bare file name.
	if place.Library, err = filepath.Abs(file); err != nil {
		place.Problem = err.Error()
	}
	return place
}

// libraryAt gives the library that a path means: itself, or one in the folder.
func libraryAt(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", errors.New("does not exist")
	}
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, pattern := range libraryNames(runtime.GOOS) {
		files, err := filepath.Glob(filepath.Join(escapeGlob(path), pattern))
		if err == nil && len(files) > 0 {
			return slices.Max(files), nil
		}
	}
	return "", errors.New("has no ONNX Runtime in it")
}

// escapeGlob keeps a folder's name from being read as a pattern.
func escapeGlob(folder string) string {
	if runtime.GOOS == "windows" { // patterns cannot be escaped there, and such names are rare
		return folder
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(folder)
}

// libraryNames are patterns of the library's file name, the preferred ones first.
func libraryNames(system string) []string {
	switch system {
	case "windows":
		return []string{"onnxruntime.dll"}
	case "darwin":
		return []string{"libonnxruntime.dylib", "libonnxruntime.*.dylib"}
	}
	return []string{"libonnxruntime.so", "libonnxruntime.so.1", "libonnxruntime.so.*"}
}

// systemFolders are where a system's package manager or its user puts libraries.
func systemFolders(system string) []string {
	switch system {
	case "windows":
		// Not the system's own folder: Windows keeps an old version there for itself.
		return besideProgram()
	case "darwin":
		return append(pathList("DYLD_LIBRARY_PATH"), "/opt/homebrew/lib", "/usr/local/lib")
	}
	folders := append(pathList("LD_LIBRARY_PATH"), "/usr/local/lib", "/usr/local/lib64", "/usr/lib64", "/usr/lib")
	multiarch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if multiarch == "" {
		return folders
	}
	return append(folders, "/usr/lib/"+multiarch+"-linux-gnu")
}

func besideProgram() []string {
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{filepath.Dir(program)}
}

// pathList gives the folders that an environment variable lists.
func pathList(variable string) []string {
	folders := filepath.SplitList(os.Getenv(variable))
	return slices.DeleteFunc(folders, func(folder string) bool { return folder == "" })
}
