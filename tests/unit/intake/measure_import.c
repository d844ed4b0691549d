/* SPDX-License-Identifier: BSD-2-Clause
 *
 * measure_import.c - files per second through the importer, by hand.
 *
 * measure_import [FILES [BYTES [DIR]]]: makes that many Postfix queue files in
 * DIR (a tmpfs takes the disk out of the figure), imports them with a window
 * of 256, and prints files/s of wall clock and of this process's CPU time,
 * making the files and opening them included in neither; and the most memory
 * that was resident meanwhile.
 */
#include "intake/import.h"

#include "queue_writer.h"
#include "spool_room.h"

#include <sys/resource.h>

struct run {
	struct room room;
	struct import *im;
	uint32_t told, refused;
};

static bool known(void *user, uint64_t digest, uint64_t *id)
{
	(void)user;
	(void)digest;
	(void)id;
	return false;
}

static void done(void *user, const struct import_result *r)
{
	struct run *run = user;

	run->told++;
	run->refused += r->verdict != IMPORT_TAKEN;
}

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return ((uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec) *
		       NS_PER_S +
	       ((uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec) *
		       NS_PER_US;
}

/* Peak of resident memory since the last call, in KiB. */
static long peak_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmHWM:", 6))
			kib = strtol(line + 6, NULL, 10);
	if (f)
		fclose(f);
	f = fopen("/proc/self/clear_refs", "w");
	if (f) {
		fputs("5", f);
		fclose(f);
	}
	return kib;
}

static int make_file(const char *dir, uint32_t number, uint32_t bytes)
{
	struct queue_file q;
	char path[160], line[80];
	int fd;

	queue_begin(&q);
	queue_text(&q, 'A', "log_client_address=192.0.2.1");
	queue_text(&q, 'S', "someone@src.test");
	queue_text(&q, 'A', "dsn_orig_rcpt=rfc822;someone@dst.test");
	queue_text(&q, 'O', "someone@dst.test");
	queue_text(&q, 'R', "someone@dst.test");
	queue_message(&q);
	for (uint32_t n = 0; n < bytes; n += 72) {
		snprintf(line, sizeof(line), "%070u", number);
		queue_text(&q, 'N', line);
	}
	queue_extracted(&q);
	queue_end(&q);
	snprintf(path, sizeof(path), "%s/f", dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_TRUNC, 0600);
	if (fd < 0 || write(fd, q.data, q.len) != (ssize_t)q.len)
		abort();
	unlink(path);
	queue_free(&q);
	return fd;
}

static void turn(struct run *r)
{
	io_step(r->room.io, 10 * NS_PER_MS);
	import_step(r->im);
	spool_step(r->room.sp);
}

int main(int argc, char **argv)
{
	uint32_t files = argc > 1 ? (uint32_t)atoi(argv[1]) : 20000;
	uint32_t bytes = argc > 2 ? (uint32_t)atoi(argv[2]) : 4096;
	static const struct import_ops ops = {known, done};
	struct run r = {0};
	uint64_t wall, cpu, turns = 0;
	int *fds = calloc(files, sizeof(*fds));
	struct rlimit lim = {files + 100, files + 100};

	setrlimit(RLIMIT_NOFILE, &lim);
	room_open_in(&r.room, argc > 3 ? argv[3] : "/dev/shm", NULL);
	import_create(&r.im, r.room.io, r.room.sp, NULL, &ops, &r);
	for (uint32_t i = 0; i < files; i++)
		fds[i] = make_file(r.room.dir, i, bytes);
	peak_kib();
	wall = clock_monotonic_ns();
	cpu = cpu_ns();
	for (uint32_t i = 0; r.told < files; turns++) {
		while (i < files && import_room(r.im)) {
			struct import_file f = {
				.fd = fds[i], .name = "3F00A1", .tag = i++};
			if (import_submit(r.im, &f))
				abort();
		}
		turn(&r);
	}
	wall = clock_monotonic_ns() - wall;
	cpu = cpu_ns() - cpu;
	printf("%u files of %u bytes, %u refused, %lu turns: %.1f/s wall, "
	       "%.1f/s of CPU, %.2f s, %ld KiB at most\n",
	       files, bytes, r.refused, (unsigned long)turns,
	       files * 1e9 / (double)wall, files * 1e9 / (double)cpu,
	       (double)wall / 1e9, peak_kib());
	import_destroy(&r.im);
	room_close(&r.room);
	free(fds);
	return 0;
}
