package testneeds

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// PythonWith gives the command of a Python that has a module: that of the environment
// variable ONNXLOSS_PYTHON, which may have arguments, or python3.
func PythonWith(t testing.TB, module string) []string {
	t.Helper()
	command := strings.Fields(os.Getenv("ONNXLOSS_PYTHON"))
	if len(command) == 0 {
		command = []string{"python3"}
	}
	version, err := exec.Command(command[0], append(command[1:], "-c", "import "+module+"; print("+module+".__version__)")...).Output()
	if err != nil {
		Lacking(t, Python, fmt.Sprintf("%s with the module %s is not here: %v", strings.Join(command, " "), module, err))
	}
	t.Logf("%s %s", module, bytes.TrimSpace(version))
	return command
}
