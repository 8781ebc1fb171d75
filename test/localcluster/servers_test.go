package localcluster

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestWithServersRunsTheCommandBesideRealServers(t *testing.T) {
	var out, errOut bytes.Buffer
	script := `echo "$PARLEY_TEST_POSTGRES $PARLEY_TEST_REDIS"; exit 7`
	status, err := WithServers(t.Context(), []string{"/bin/sh", "-c", script}, os.Environ(), &out, &errOut)
	if status != 7 || err != nil || errOut.Len() > 0 {
		t.Error(status, err, errOut.String())
	}
	if got := out.String(); !strings.HasPrefix(got, "postgres://") || !strings.Contains(got, " redis://") {
		t.Error(got)
	}
	if status, err := WithServers(t.Context(), []string{"/no/such/program"}, nil, &out, &errOut); status == 0 || err == nil {
		t.Error(status, err)
	}
}

func TestServicesAreGivenWhatIsTheirs(t *testing.T) {
	got := strings.Join(passedOn([]string{"PATH=/bin", "PARLEY_LISTEN=x", "PARLEY_DATA=y", "PARLEY_LIMIT_LOGIN=5", "AWS_SECRET=z"}), " ")
	if got != "PATH=/bin PARLEY_LIMIT_LOGIN=5" {
		t.Error(got)
	}
}
