/* SPDX-License-Identifier: BSD-2-Clause
 *
 * output.c - directories and whole files, for all outputs.
 *
 * Called by the outputs of backlog, on its thread. Errors: -errno.
 */
#include "backlog/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_mkdirs(const char *path, uint32_t mode, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return err_set(e, -ENAMETOOLONG, "'%s' is no directory name",
			       path);
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != 0)
			continue;
		part[i] = 0;
		if (mkdir(part, i == len ? mode : 0755) != 0 && errno != EEXIST)
			return err_set(e, -errno, "cannot make %s: %s", part,
				       err_name(errno));
		if (i < len)
			part[i] = '/';
	}
	return 0;
}

static int file_fill(int fd, uint32_t mode, uint32_t when_s,
		     const struct buffer *data)
{
	struct timespec times[2] = {{.tv_sec = when_s}, {.tv_sec = when_s}};
	size_t done = 0;

	while (done < data->len) {
		ssize_t n = write(fd, data->data + done, data->len - done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	if (when_s && futimens(fd, times) != 0)
		return -errno;
	/* Last: Postfix takes the mode bit x for "completely written". */
	return fchmod(fd, mode) == 0 ? 0 : -errno;
}

int output_file(int dirfd, const char *name, uint32_t mode, uint32_t when_s,
		const struct buffer *data)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			0600);
	int err;

	if (fd < 0)
		return -errno;
	err = file_fill(fd, mode, when_s, data);
	if (close(fd) != 0 && !err)
		err = -errno;
	return err;
}
