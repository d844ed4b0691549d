/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_main.c - runs a fuzz target without libFuzzer.
 *
 * fuzz_NAME [--seed N] [--runs N] [FILE...]
 * fuzz_NAME --write-samples DIR
 * Files are replayed as they are. Without files: the target's samples, then N
 * mutations of them (flipped, overwritten, cut, repeated, random bytes). The
 * seed is printed, so that a failure can be had again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz.h"

#define INPUT_BYTES_MAX 65536u

static uint64_t dice_state;

static uint32_t dice(uint32_t below)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (uint32_t)((dice_state * 0x2545f4914f6cdd1dULL >> 32) % below);
}

/* An exact-size copy, so that a sanitizer sees one byte too far. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int replay(const char *path)
{
	static uint8_t data[INPUT_BYTES_MAX];
	FILE *f = fopen(path, "rb");
	size_t size;

	if (!f) {
		perror(path);
		return 1;
	}
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	run(data, size);
	return 0;
}

static const uint8_t edges[] = {0x00, 0xff, 0x7f, 0x80, 0x01, '\r', '\n', '.'};

static size_t mutate_once(uint8_t *data, size_t size)
{
	uint32_t at = size ? dice((uint32_t)size) : 0;
	uint32_t part;

	switch (size ? dice(7) : 6) {
	case 0:
		data[at] ^= (uint8_t)(1u << dice(8));
		return size;
	case 1:
		data[at] = edges[dice(sizeof(edges))];
		return size;
	case 2:
		data[at] = (uint8_t)dice(256);
		return size;
	case 3: /* cut */
		return at;
	case 4: /* leave a piece out */
		part = dice((uint32_t)size - at) + 1;
		memmove(data + at, data + at + part, size - at - part);
		return size - part;
	case 5: /* say a piece twice */
		part = dice((uint32_t)size - at) + 1;
		if (size + part > INPUT_BYTES_MAX)
			return size;
		memmove(data + at + part, data + at, size - at);
		return size + part;
	default: /* noise at the end */
		for (part = dice(64); part > 0 && size < INPUT_BYTES_MAX;
		     part--)
			data[size++] = (uint8_t)dice(256);
		return size;
	}
}

static int sample_write(const char *dir, uint32_t number, const uint8_t *data,
			size_t size)
{
	char path[4096];
	FILE *f;
	int bad;

	(void)snprintf(path, sizeof(path), "%s/sample-%u", dir, number);
	f = fopen(path, "wb");
	bad = !f || fwrite(data, 1, size, f) != size;
	if (f && fclose(f))
		bad = 1;
	if (bad)
		perror(path);
	return bad;
}

/* A first corpus for libFuzzer. */
static int samples_write(const char *dir)
{
	static uint8_t data[INPUT_BYTES_MAX];
	uint32_t count = 0;
	size_t size;

	while ((size = fuzz_sample(count, data, sizeof(data))) > 0)
		if (sample_write(dir, count++, data, size))
			return 1;
	return 0;
}

static uint32_t samples_run(void)
{
	static uint8_t data[INPUT_BYTES_MAX];
	uint32_t count = 0;
	size_t size;

	while ((size = fuzz_sample(count, data, sizeof(data))) > 0) {
		run(data, size);
		count++;
	}
	return count;
}

static void mutations_run(uint32_t samples, uint32_t runs)
{
	static uint8_t data[INPUT_BYTES_MAX];
	uint32_t i, times;
	size_t size;

	for (i = 0; i < runs; i++) {
		size = fuzz_sample(dice(samples), data, sizeof(data));
		for (times = 1 + dice(6); times > 0; times--)
			size = mutate_once(data, size);
		run(data, size);
	}
}

int main(int argc, char **argv)
{
	uint64_t seed = (uint64_t)time(NULL);
	uint32_t runs = 20000, samples;
	int i, files = 0, failed = 0;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			seed = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
			runs = (uint32_t)strtoul(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--write-samples") == 0 &&
			   i + 1 < argc) {
			return samples_write(argv[++i]);
		} else {
			failed |= replay(argv[i]);
			files++;
		}
	}
	if (files)
		return failed;
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	dice_state = seed * 2 + 1;
	samples = samples_run();
	if (samples == 0) {
		printf("the target has no sample\n");
		return 1;
	}
	mutations_run(samples, runs);
	printf("%u samples, %u mutations\n", samples, runs);
	return 0;
}
