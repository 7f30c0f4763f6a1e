"""Who asks the API: the holder of a token."""

from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed

from governance import tokens
from governance.models import User


class TokenAuthentication(authentication.TokenAuthentication):
    """`Authorization: Token …`, with the tokens that `governance.tokens` keeps."""

    def authenticate_credentials(self, key: str) -> tuple[User, None]:
        """Return the token's holder.

        Raises:
            AuthenticationFailed: nobody holds it, or it has run out.
        """
        user = tokens.holder(key)
        if user is None:
            raise AuthenticationFailed("This token is not known, was revoked, or has run out.")
        return user, None
