// Command controlplane is a whole Kubernetes control plane in one program, for tests and demos.
//
// Called plainly it supervises: it runs etcd and the simulated node itself, starts kube-apiserver,
// kube-controller-manager and kube-scheduler as children (this same program, called by the name of
// the part), prints one JSON line when all of it is ready, and ends everything when its standard
// input closes or a signal arrives. Several can run beside each other: every port is picked free and
// every file lies in a temporary folder of its own.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	// CronJobs may name a time zone on machines that have no zone files.
	_ "time/tzdata"
)

// parts are the programs inside this one; each gets its arguments and returns the exit code.
var parts = map[string]func(arguments []string) int{
	apiServerPart:         runAPIServer,
	controllerManagerPart: runControllerManager,
	schedulerPart:         runScheduler,
}

func main() {
	if len(os.Args) > 1 {
		if run, ok := parts[os.Args[1]]; ok {
			endWithParent()
			os.Exit(run(os.Args[2:]))
		}
	}
	options, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err == nil {
		err = supervise(options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

// Options are what the command line of the supervisor says.
type Options struct {
	// Directory keeps the files of this run; empty for a temporary folder that is removed at the end.
	Directory string
	// Audit writes an audit log with the metadata of every request.
	Audit bool
	// Users are allowed in beside the ones that are always there.
	Users []User
}

func parseOptions(arguments []string) (Options, error) {
	var options Options
	flags := flag.NewFlagSet("controlplane", flag.ContinueOnError)
	flags.StringVar(&options.Directory, "directory", "", "keep the files in this folder (default: a temporary one)")
	flags.BoolVar(&options.Audit, "audit", false, "write an audit log with the metadata of every request")
	flags.Func("user", "one more user with a token, as NAME or NAME:GROUP,GROUP", func(value string) error {
		name, groups, _ := strings.Cut(value, ":")
		user := User{Name: name}
		if groups != "" {
			user.Groups = strings.Split(groups, ",")
		}
		options.Users = append(options.Users, user)
		return nil
	})
	if err := flags.Parse(arguments); err != nil {
		return options, err
	}
	if flags.NArg() > 0 {
		return options, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return options, nil
}
