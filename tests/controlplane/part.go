package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopDeadline is how long a part may take to end by itself before it is killed.
const stopDeadline = 5 * time.Second

// part is a running child.
type part struct {
	name    string
	command *exec.Cmd
	// leash is the writing end of the child's standard input: when it closes, the child ends.
	leash    io.WriteCloser
	stopping chan struct{}
	ended    chan struct{}
}

// startPart starts this same program under the name of a part. Its output goes to a log of its own.
// A listener is handed down, so that its port is never free for somebody else to take. If the part
// ends before it is told to, the whole run is cancelled.
func startPart(
	directory, name string, arguments []string, listener net.Listener, cancel context.CancelCauseFunc,
) (*part, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	log, err := os.Create(logPath(directory, name))
	if err != nil {
		return nil, fmt.Errorf("create the log of %s: %w", name, err)
	}
	defer log.Close()
	command := exec.Command(executable, append([]string{name}, arguments...)...)
	command.Stdout, command.Stderr = log, log
	// A process group of its own: an interrupt at the terminal reaches the supervisor alone,
	// which then ends the parts in their order.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if listener != nil {
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			return nil, fmt.Errorf("hand down the listener of %s: %w", name, err)
		}
		defer file.Close()
		defer listener.Close()
		command.ExtraFiles = []*os.File{file}
	}
	leash, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	child := &part{name, command, leash, make(chan struct{}), make(chan struct{})}
	go child.watch(cancel)
	return child, nil
}

func (child *part) watch(cancel context.CancelCauseFunc) {
	err := child.command.Wait()
	close(child.ended)
	select {
	case <-child.stopping:
	default:
		cancel(fmt.Errorf("%s ended by itself: %v", child.name, err))
	}
}

// stop asks the child to end and kills it when the deadline has passed.
func (child *part) stop() {
	close(child.stopping)
	_ = child.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-child.ended:
	case <-time.After(stopDeadline):
		_ = child.command.Process.Kill()
		<-child.ended
	}
	_ = child.leash.Close()
}

func stopAll(children []*part) {
	var group sync.WaitGroup
	for _, child := range children {
		group.Go(child.stop)
	}
	group.Wait()
}

// endWithParent makes this process, a part, end at once when the supervisor was killed and could
// not end it in order.
func endWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}

func logPath(directory, name string) string {
	return filepath.Join(directory, name+".log")
}

func logTail(directory, name string) string {
	const limit = 2000
	content, err := os.ReadFile(logPath(directory, name))
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-limit):])
}
