/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_large.c - a message of 300 MB takes no more memory than a small one.
 */
#include "delivery_room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "fake_crowd.h"

#define PIECE_BYTES (1u << 20)
#define PIECES      300u
#define WAIT_NS     (100 * NS_PER_S)
/* Two buffers of 64 KiB and what the loop's own use; not 300 MB. */
#define MEMORY_KIB_MAX 8192u

/* Resident memory: the peak since the last reset, or now. */
static unsigned long memory_kib(const char *key)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoul(line + strlen(key), NULL, 10);
	(void)fclose(f);
	assert_true(kib > 0);
	return kib;
}

static bool peak_reset(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, "5", 1) == 1;

	(void)close(fd);
	return ok;
}

static bool disk_has_room(void)
{
	struct statvfs v;

	return statvfs("/tmp", &v) == 0 &&
	       (uint64_t)v.f_bavail * v.f_frsize > 2ULL << 30;
}

/* Lines of 64 bytes, every tenth with a dot in front. */
static char *make_piece(void)
{
	char *p = malloc(PIECE_BYTES);

	assert_non_null(p);
	for (uint32_t at = 0; at < PIECE_BYTES; at += 64) {
		memset(p + at, 'a' + (int)(at / 64 % 26), 62);
		memcpy(p + at + 62, "\r\n", 2);
		if (at / 64 % 10 == 0)
			p[at] = '.';
	}
	return p;
}

static uint64_t hash_of(const char *piece)
{
	XXH3_state_t *h = XXH3_createState();
	uint64_t v;

	(void)XXH3_64bits_reset(h);
	for (uint32_t i = 0; i < PIECES; i++)
		(void)XXH3_64bits_update(h, piece, PIECE_BYTES);
	v = XXH3_64bits_digest(h);
	(void)XXH3_freeState(h);
	return v;
}

static void run_until_done(struct room *r)
{
	uint64_t until = clock_monotonic_ns() + WAIT_NS;

	while (!r->done && clock_monotonic_ns() < until)
		room_turn(r);
	assert_int_equal(r->done, 1);
}

static void large_message_is_streamed(void **state)
{
	struct envelope_rcpt to = {.address = {"a@example.net", 13}};
	struct envelope env = {
		.sender = {"s@example.org", 13}, .rcpt_count = 1, .rcpts = &to};
	struct fake_crowd *c;
	char *piece;
	unsigned long before;
	uint64_t bytes;
	struct room r;

	if (!disk_has_room() || !peak_reset())
		skip();
	piece = make_piece();
	c = fake_crowd_start(1);
	room_open(&r, fake_crowd_port(c));
	room_patience(&r, 20 * NS_PER_S);
	r.go = GO_LATER;
	(void)room_store_pieces(&r, &env, piece, PIECE_BYTES, PIECES,
				SPOOL_NEEDS_STUFFING);
	room_start(&r);
	before = memory_kib("VmRSS:");
	assert_true(peak_reset());
	run_until_done(&r);
	assert_in_range(memory_kib("VmHWM:"), 1, before + MEMORY_KIB_MAX);
	assert_string_equal(r.results, "0:accepted/eom/250");
	assert_int_equal(fake_crowd_content(c, &bytes), hash_of(piece));
	assert_int_equal(bytes, (uint64_t)PIECES * PIECE_BYTES);
	room_close(&r);
	fake_crowd_stop(&c);
	free(piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_message_is_streamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
