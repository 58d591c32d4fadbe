/*
 * Fuzzing the configuration reader: any bytes give a configuration or errors,
 * and all memory comes back.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct config_errors errors;
	struct config *config = config_read_text("fuzz.conf",
	    (const char *)bytes, size_bytes, &errors);

	if (config == NULL)
		assert(errors.count > 0);
	else
		assert(errors.count == 0 && errors.dropped == 0);
	config_free(config);
	config_errors_release(&errors);
	return 0;
}
