/*
 * Reading again what a configuration was read from: a spec that was kept gives
 * the same spec, whatever has become of the files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_fixture.h"
#include "config_source.h"

static const char text[] =
	"[listener admin]\naddress = unix:/run/a.sock\n"
	"[service web]\ncommand = /bin/web 'a b' c\nenvironment = A=1 'B=2 3'\n"
	"listeners = admin\nworkers = 7\nready = notify\n"
	"steps = 0.1% 5s, 50% pause, 100%\nworking_directory = /\xe4\n";

static void
test_the_same_again(void **state)
{
	struct config *config = config_good(text), *again;
	struct spec *spec = spec_ref(config_service(config, "web"));
	struct config_errors errors;
	const struct spec *other;
	const char *key = "";

	(void)state;
	config_free(config);            /* the spec is enough */
	again = config_read_source(spec->source, &errors);
	assert_non_null(again);
	other = config_service(again, "web");
	assert_false(spec_release_differs(spec, other, &key));
	assert_false(spec_fleet_differs(spec, other, &key));
	assert_string_equal(other->file, "t");
	assert_int_equal(other->line, spec->line);
	assert_true(config_source_equal(spec->source, other->source));
	spec_unref(spec);
	config_free(again);
}

static void
write_file(const char *path, const char *content)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Also when they are gone. */
static void
test_files(void **state)
{
	char directory[] = "/tmp/source.XXXXXX", path[64], fragment[96];
	struct config_errors errors;
	struct config *config, *again;

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/supd.conf", directory);
	(void)snprintf(fragment, sizeof(fragment), "%s/conf.d", directory);
	assert_int_equal(mkdir(fragment, 0700), 0);
	(void)snprintf(fragment, sizeof(fragment), "%s/conf.d/b.conf",
	    directory);
	write_file(path, "[service a]\ncommand = /bin/a\n");
	write_file(fragment, "[service b]\ncommand = /bin/b\n");
	config = config_read(path, &errors);
	assert_non_null(config);
	assert_int_equal(config->source->file_count, 2);
	assert_int_equal(unlink(fragment), 0);
	(void)snprintf(fragment, sizeof(fragment), "%s/conf.d", directory);
	assert_int_equal(rmdir(fragment), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);

	again = config_read_source(config->services[1]->source, &errors);
	assert_non_null(again);
	assert_int_equal(again->service_count, 2);
	config_expect_list(config_service(again, "b")->argv, "</bin/b>");
	assert_string_equal(config_service(again, "b")->file,
	    config->services[1]->file);
	config_free(config);
	config_free(again);
}

static struct config_source *
source_of(const char *name, const char *content, size_t size_bytes)
{
	struct config_source *source = config_source_new();

	assert_non_null(source);
	assert_int_equal(config_source_add(source, name, content, size_bytes),
	    0);
	return source;
}

static void
test_equal(void **state)
{
	static const struct {
		const char *name, *content;
		size_t size_bytes;
	} others[] = { { "b", "x\0y", 3 }, { "a", "x\0z", 3 },
		{ "a", "x\0y", 2 }, { "a", "", 0 } };
	struct config_source *source = source_of("a", "x\0y", 3), *other;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		other = source_of(others[i].name, others[i].content,
		    others[i].size_bytes);
		assert_false(config_source_equal(source, other));
		config_source_unref(other);
	}
	other = source_of("a", "x\0y", 3);
	assert_true(config_source_equal(source, other));
	assert_int_equal(config_source_add(other, "b", "", 0), 0);
	assert_false(config_source_equal(source, other));
	config_source_unref(other);
	config_source_unref(source);
}

/* A newer supd may refuse what an older one took. */
static void
test_errors(void **state)
{
	struct config_source *source = source_of("t", "[nonsense]\n", 11);
	struct config_errors errors;

	(void)state;
	assert_null(config_read_source(source, &errors));
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.list[0].file, "t");
	config_errors_release(&errors);
	config_source_unref(source);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_again),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
