# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/webhook_endpoints.py: change it there.
"""Who is told when jobs end."""

from collections.abc import Sequence

from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.answers import given, parse, segment
from tunesmith.types import Deleted, WebhookDelivery, WebhookEndpoint, WebhookTestResult

PATH = "/webhook_endpoints"


class WebhookEndpoints(Resource):
    """`client.webhook_endpoints`: URLs that are told when jobs end.

    ```python
    endpoint = client.webhook_endpoints.create(
        name="releases", url="https://ci.example/hooks/tunesmith", event_types=["fine_tuning.job.succeeded"]
    )
    print(endpoint.signing_secret)  # shown this once
    ```
    """

    def create(
        self, *, name: str, url: str, event_types: Sequence[str], idempotency_key: str | None = None
    ) -> WebhookEndpoint:
        """Have the ends of the project's jobs told to a URL; `signing_secret` is shown this once.

        Args:
            url: https, and public unless the operator allows others.
            event_types: of fine_tuning.job.succeeded, fine_tuning.job.failed, fine_tuning.job.cancelled.
            idempotency_key: two calls with the same key make one endpoint; else every call has its own.

        Raises:
            BadRequestError: the server refuses the URL or a type; `param` names the field.
        """
        body = {"name": name, "url": url, "event_types": [*event_types]}
        return parse(WebhookEndpoint, self._transport.request("POST", PATH, body=body, idempotency_key=idempotency_key))

    def retrieve(self, endpoint_id: str) -> WebhookEndpoint:
        """The endpoint, without its secret."""
        return parse(WebhookEndpoint, self._transport.request("GET", _path(endpoint_id)))

    def update(
        self,
        endpoint_id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
    ) -> WebhookEndpoint:
        """Change what is given. A URL, be it the same, enables an endpoint again that its receiver has disabled."""
        body = given(name=name, url=url, event_types=None if event_types is None else [*event_types])
        return parse(WebhookEndpoint, self._transport.request("POST", _path(endpoint_id), body=body))

    def list(self, *, limit: int | None = None, after: str | None = None) -> Page[WebhookEndpoint]:
        """The project's endpoints, newest first."""
        return self._pages(WebhookEndpoint, PATH, given(limit=limit, after=after))

    def delete(self, endpoint_id: str) -> Deleted:
        """Delete the endpoint; what it has not been told yet, it never will be."""
        return parse(Deleted, self._transport.request("DELETE", _path(endpoint_id)))

    def rotate_secret(self, endpoint_id: str, *, keep_old_secret_active_for_24_hours: bool = False) -> WebhookEndpoint:
        """Make a new `signing_secret`, shown this once; where the old one is kept, both sign for a day."""
        body = {"keep_old_secret_active_for_24_hours": keep_old_secret_active_for_24_hours}
        answer = self._transport.request("POST", _path(endpoint_id, "/rotate_secret"), body=body)
        return parse(WebhookEndpoint, answer)

    def test(self, endpoint_id: str, *, event_type: str) -> WebhookTestResult:
        """Send a sample event, and tell what the receiver answers.

        Raises:
            BadRequestError: the receiver was not reached.
        """
        answer = self._transport.request("POST", _path(endpoint_id, "/test"), body={"event_type": event_type})
        return parse(WebhookTestResult, answer)

    def deliveries(
        self, endpoint_id: str, *, limit: int | None = None, after: str | None = None
    ) -> Page[WebhookDelivery]:
        """What the endpoint was told in the last week, or is still to be told, newest first."""
        return self._pages(WebhookDelivery, _path(endpoint_id, "/deliveries"), given(limit=limit, after=after))


def _path(endpoint_id: str, rest: str = "") -> str:
    return f"{PATH}/{segment(endpoint_id)}{rest}"
