/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_system.c - why io_uring does not work here, and what to change.
 *
 * Called by io_open() and io_buffers_register(), at start only.
 * Errors: those of the host, each with one sentence for the operator.
 */
#include "io/io_system.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define KERNEL_MAJOR 6
#define KERNEL_MINOR 1

static int real_release(char *buf, size_t len)
{
	struct utsname u;
	if (uname(&u) != 0)
		return -errno;
	snprintf(buf, len, "%s", u.release);
	return 0;
}

static int real_disabled(void)
{
	char text[16] = "";
	int fd = open("/proc/sys/kernel/io_uring_disabled",
		      O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got < 1 || text[0] < '0' || text[0] > '9')
		return -EIO;
	return text[0] - '0';
}

static int real_memlock(uint64_t *bytes)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_MEMLOCK, &l) != 0)
		return -errno;
	*bytes = l.rlim_cur;
	return 0;
}

static int real_setup(uint32_t entries, struct io_uring *ring,
		      struct io_uring_params *p)
{
	return io_uring_queue_init_params(entries, ring, p);
}

static int real_register_ring(struct io_uring *ring)
{
	return io_uring_register_ring_fd(ring);
}

static int real_register_buf_ring(struct io_uring *ring,
				  struct io_uring_buf_reg *reg)
{
	return io_uring_register_buf_ring(ring, reg, 0);
}

static int real_register_files(struct io_uring *ring, uint32_t slots)
{
	return io_uring_register_files_sparse(ring, slots);
}

const struct io_system io_system_real = {
	.release = real_release,
	.disabled = real_disabled,
	.memlock = real_memlock,
	.setup = real_setup,
	.register_ring = real_register_ring,
	.register_buf_ring = real_register_buf_ring,
	.register_files = real_register_files,
};

static bool release_at_least(const char *release, unsigned long major,
			     unsigned long minor)
{
	char *end = NULL;
	unsigned long is_major = strtoul(release, &end, 10);
	unsigned long is_minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return is_major > major || (is_major == major && is_minor >= minor);
}

bool io_system_at_least(const struct io_system *sys, unsigned long major,
			unsigned long minor)
{
	char release[65] = "";
	return sys->release(release, sizeof(release)) == 0 &&
	       release_at_least(release, major, minor);
}

int io_system_check(const struct io_system *sys, struct err *e)
{
	char release[65] = "";
	int res = sys->release(release, sizeof(release));
	if (res < 0)
		return err_set(e, res, "uname: %s", err_name(res));
	if (release_at_least(release, KERNEL_MAJOR, KERNEL_MINOR))
		return 0;
	return err_set(e, -ENOSYS,
		       "this kernel is %s, but %d.%d or newer is needed "
		       "(io_uring with deferred task work; Debian 12 has it): "
		       "boot a newer kernel",
		       release, KERNEL_MAJOR, KERNEL_MINOR);
}

/* EPERM: the sysctl first, for only it can be read; else a filter. */
static int explain_eperm(const struct io_system *sys, int code,
			 const char *what, struct err *e)
{
	int disabled = sys->disabled();
	if (disabled == 1)
		return err_set(e, code,
			       "%s: not permitted, since "
			       "kernel.io_uring_disabled is 1: set "
			       "kernel.io_uring_group to a group of this user "
			       "(sysctl -w kernel.io_uring_group=GID), or "
			       "sysctl -w kernel.io_uring_disabled=0",
			       what);
	if (disabled > 1)
		return err_set(e, code,
			       "%s: io_uring is switched off on this host "
			       "(kernel.io_uring_disabled is %d): "
			       "sysctl -w kernel.io_uring_disabled=0",
			       what, disabled);
	return err_set(e, code,
		       "%s: not permitted although kernel.io_uring_disabled "
		       "is not set, so a seccomp filter (container, "
		       "SystemCallFilter=) stands in the way: allow the "
		       "calls io_uring_setup, io_uring_enter and "
		       "io_uring_register",
		       what);
}

static int explain_enomem(const struct io_system *sys, int code,
			  const char *what, struct err *e)
{
	uint64_t bytes = 0;
	char limit[32] = "unknown";
	if (sys->memlock(&bytes) == 0 && bytes == (uint64_t)RLIM_INFINITY)
		return err_set(e, code,
			       "%s: out of memory, although RLIMIT_MEMLOCK is "
			       "unlimited: give this service more memory "
			       "(MemoryMax=, the container's limit) or lower "
			       "io buffers",
			       what);
	if (bytes > 0)
		snprintf(limit, sizeof(limit), "%" PRIu64 " KiB", bytes / 1024);
	return err_set(e, code,
		       "%s: no memory may be locked beyond RLIMIT_MEMLOCK "
		       "(now %s): raise it (LimitMEMLOCK=64M in the unit, "
		       "ulimit -l in a shell)",
		       what, limit);
}

int io_system_explain(const struct io_system *sys, int code, const char *what,
		      struct err *e)
{
	switch (code) {
	case -EPERM:
	case -EACCES:
		return explain_eperm(sys, code, what, e);
	case -ENOMEM:
		return explain_enomem(sys, code, what, e);
	case -ENOSYS:
		return err_set(
			e, code,
			"%s: the call does not exist here: this kernel "
			"was built without CONFIG_IO_URING, or a seccomp "
			"filter hides the call; allow io_uring_setup, "
			"io_uring_enter and io_uring_register",
			what);
	case -EMFILE:
	case -ENFILE:
		return err_set(e, code,
			       "%s: %s: raise the limit of open files "
			       "(LimitNOFILE= in the unit%s)",
			       what, err_name(code),
			       code == -ENFILE ? ", fs.file-max" : "");
	case -EINVAL:
		return err_set(e, code,
			       "%s: the kernel refuses the options asked for: "
			       "6.1 or newer with unchanged io_uring is needed",
			       what);
	default:
		return err_set(e, code, "%s: %s", what, err_name(code));
	}
}
