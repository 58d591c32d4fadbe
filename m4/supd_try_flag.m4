# SUPD_TRY_CFLAG(FLAG, VARIABLE)
# ------------------------------
# Appends FLAG to VARIABLE if the compiler takes it without a warning, together
# with the user's own CFLAGS (so that, for instance, -D_FORTIFY_SOURCE is left
# out where CFLAGS have no -O).
AC_DEFUN([SUPD_TRY_CFLAG], [
	AS_VAR_PUSHDEF([supd_known], [supd_cv_cflag_$1])
	AC_CACHE_CHECK([whether $CC accepts $1], [supd_known], [
		supd_saved_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -Werror $1"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]],
		    [[puts("");]])],
		    [AS_VAR_SET([supd_known], [yes])],
		    [AS_VAR_SET([supd_known], [no])])
		CFLAGS=$supd_saved_CFLAGS
	])
	AS_VAR_IF([supd_known], [yes], [$2="$$2 $1"])
	AS_VAR_POPDEF([supd_known])
])

# SUPD_TRY_LDFLAG(FLAG, VARIABLE)
# -------------------------------
# Appends FLAG to VARIABLE if a program links with it.
AC_DEFUN([SUPD_TRY_LDFLAG], [
	AS_VAR_PUSHDEF([supd_known], [supd_cv_ldflag_$1])
	AC_CACHE_CHECK([whether $CC links with $1], [supd_known], [
		supd_saved_CFLAGS=$CFLAGS
		supd_saved_LDFLAGS=$LDFLAGS
		CFLAGS="$CFLAGS -fPIE"
		LDFLAGS="$LDFLAGS -Werror $1"
		AC_LINK_IFELSE([AC_LANG_PROGRAM()],
		    [AS_VAR_SET([supd_known], [yes])],
		    [AS_VAR_SET([supd_known], [no])])
		CFLAGS=$supd_saved_CFLAGS
		LDFLAGS=$supd_saved_LDFLAGS
	])
	AS_VAR_IF([supd_known], [yes], [$2="$$2 $1"])
	AS_VAR_POPDEF([supd_known])
])
